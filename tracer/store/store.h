/* Writes a trace into its database. A store owns its connection.
 *
 * The first error (a full disk, for example) is kept: after it every function does nothing and returns 0, and
 * store_commit returns the error. So callers check once, before they release the records in the logs. Only the disk can
 * block. */
#ifndef SF_TRACER_STORE_STORE_H
#define SF_TRACER_STORE_STORE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "abi/log_format.h"
#include "base/clock.h"
#include "base/output.h"

struct store;

/* One row of `event`; object 0: none, begin 0: none. */
struct store_event {
    int64_t process, object, a, b, begin;
    uint64_t seq, tsc;
    unsigned kind, phase, lane;
};

/* One row of `log`. */
struct store_log {
    int64_t id, process;
    uint64_t first_seq;
    uint64_t first_tsc, last_tsc, exit_tsc, seen_tsc; /* 0: none */
    int64_t exit_status;
    uint64_t taken, collected, begun, lost, elsewhere;
    uint64_t bad_kind, bad_phase, bad_time, unreadable, unmatched, begun_before, backwards, gaps;
    bool damaged, running;
};

/* One row of `thread`. name: NULL: that of `text`, a row of the table `text`; 0: it has none. */
struct store_thread {
    int64_t process, tid, text;
    uint64_t since_tsc, first_tsc, first_seq;
    unsigned lane;
    const char *name;
};

/* One row of `sched_slice`; waker 0: none. */
struct store_slice {
    int64_t process, tid, cpu, start_ns, end_ns, waker, wake_ns;
    const char *state;
    bool woken; /* whether wake_ns is known */
};

/* One row of `fault`. */
struct store_fault {
    int64_t process, tid, start_ns, end_ns, count, cost_ns;
    const char *kind, *mode;
    bool estimate;
};

/* Creates a trace at `path`; an older one there is replaced. */
int store_create(struct store **store, const char *path, struct sentence *why);

/* Opens the trace at `path` if it is of that session. -ENOENT, without a sentence: there is no trace of that session.
 */
int store_continue(struct store **store, const char *path, const char *session, struct sentence *why);

/* Makes at `path` a copy of the trace at `from`, which has to be of that session, and opens it. -ENOENT, without a
 * sentence: it is not. */
int store_copy(struct store **store, const char *from, const char *path, const char *session, struct sentence *why);

void store_close(struct store *store);
void store_discard(struct store *store); /* and removes the file */

void store_begin(struct store *store);
int store_commit(struct store *store); /* 0, or the first error since the store was opened */
const struct sentence *store_why(const struct store *store);

/* The connection. store_run runs SQL on it that needs no prepared statement. */
sqlite3 *store_connection(struct store *store);
void store_run(struct store *store, const char *sql);

/* Keeps the error of something that the caller did on the connection: -EIO (the connection has the reason) or
 * -ENOMEM. */
void store_fail(struct store *store, int error);

void store_meta_text(struct store *store, const char *key, const char *value);
void store_meta_number(struct store *store, const char *key, int64_t value);
void store_stat(struct store *store, const char *name, int64_t process, const char *severity, int64_t value);

void store_snapshot(struct store *store, const struct clock_snapshot *snapshot);
void store_segment(struct store *store, const struct clock_segment *segment); /* inserts or replaces */

/* A new process, by its first log; returns its id. host_pid: its pid in the collector's pid namespace, 0 if not known.
 * If the kernel's view has the process already, that one is completed. task: 0 for none. */
int64_t store_process(struct store *store, const struct sf_log_header *header, pid_t host_pid, const char *name,
                      int64_t task, int64_t start_ns);

/* Makes the traced process with that pid in the collector's pid namespace the parent of `process`, if it has none yet.
 * Whether it has one now. */
bool store_parent(struct store *store, int64_t process, pid_t host_pid);

/* The last process of that pid, in that pid namespace, that made a log between from_tsc and this one; 0: there is none.
 */
int64_t store_process_since(struct store *store, const struct sf_log_header *header, uint64_t from_tsc);

/* The number of the log's family: the scope of its task and channel numbers. */
int64_t store_family(const struct sf_log_header *header);

/* Adds a log of log->process: sets log->id and log->first_seq. */
void store_new_log(struct store *store, struct store_log *log, const char *file, const struct sf_log_header *header,
                   pid_t host_pid);

/* Names the log's process, unless the process has a later log, whose name counts. */
void store_log_name(struct store *store, int64_t log, const char *name);

/* Stores the counts of a log. */
void store_log(struct store *store, const struct store_log *log);

/* A process of the kernel's view; returns its id. parent: 0 for none. name NULL: the kernel's view did not see its
 * fork; if there is a log of that pid, it is the log's process. start_ns 0: it was there before the session, and its
 * life in the trace begins with its log. */
int64_t store_kernel_process(struct store *store, uint32_t pid, int64_t parent, const char *name, int64_t start_ns);

/* Names a process, unless it has a log, whose name counts. */
void store_kernel_name(struct store *store, int64_t process, const char *name);
void store_kernel_end(struct store *store, int64_t process, int64_t end_ns, int64_t exit_status, bool running);
void store_slice(struct store *store, const struct store_slice *slice);
void store_fault(struct store *store, const struct store_fault *fault);
void store_kernel_wait(struct store *store, int64_t process, int64_t tid, const char *what, int64_t start_ns,
                       int64_t end_ns);

/* A child's death as its parent saw it. */
void store_reap(struct store *store, int64_t pid, uint64_t tsc, int64_t reaper, int64_t status); /* reaper 0: we */

/* Returns the row's id. */
int64_t store_event(struct store *store, const struct store_event *event);

/* A thread that is new, or, if it is known by its process and since_tsc, its name of now. */
void store_thread(struct store *store, const struct store_thread *thread);
void store_open_span(struct store *store, int64_t event);

void store_task(struct store *store, int64_t task, const char *kind, int64_t name, int64_t process, int64_t creator);
void store_channel(struct store *store, int64_t channel, const char *kind, int64_t capacity_bytes, int64_t creator);
void store_channel_name(struct store *store, int64_t channel, int64_t name);

/* The row ids of the numbers that processes use: finding and adding them. `scope`: see ids.h. */
enum store_object { STORE_TASK = 't', STORE_CHANNEL = 'c', STORE_TEXT = 'x', STORE_FRAME = 'f', STORE_STACK = 's' };
int64_t store_number(struct store *store, enum store_object type, int64_t scope, uint64_t number); /* 0: unknown */
int64_t store_new_number(struct store *store, enum store_object type, int64_t scope, uint64_t number, int64_t id);
int64_t store_text(struct store *store, const char *text); /* the id of this text, which has one row */

/* The ids of this frame and this stack, which have one row each. function, file: rows of `text`; file 0: none. parent:
 * the calling stack; 0: none. */
int64_t store_frame(struct store *store, int64_t function, int64_t file, int64_t line);
int64_t store_stack(struct store *store, int64_t parent, int64_t frame);

#endif
