/* The memory format of a trace: what a traced process writes and the collector reads.
 *
 * A session is one directory, mode 0700, made by the collector under /dev/shm:
 *
 *     /dev/shm/snakefish-<collector's pid>-<random>/
 *         session            struct sf_session_header, one page, mapped by every traced process
 *         log.<pid>.<tsc>    one per process: struct sf_log_header, then the records. Never replaced by another one
 *         spare.<n>          a log that nobody writes yet, with some of its pages reserved
 *         spill.<pid>.<tsc>  the collector's own: records it has copied out of that log, to store them later
 *                            (tracer/collect/spill.h)
 *
 * A log belongs to one process. After a fork the child makes its own. A process that execs a traced program goes on in
 * a second log.
 *
 * Who wrote it. A pid is a number of its pid namespace, so two processes may have the same one, at the same time or one
 * after the other. (space, pid, start_tsc) is unique in a session. Whether a log can still be written is not a question
 * of pids at all: as long as a process has it mapped or open for writing, the kernel grants no write lease on it
 * (F_SETLEASE). Which process of the reader's namespace the writer is, says a record lock (F_SETLK) that the writer
 * puts on its log: F_GETLK gives the pid as the reader numbers it. The lock ends when the program closes the
 * descriptor; then it says nothing.
 *
 *     byte 0        64         128        192                4096                     4096 + capacity * 32
 *          +----------+----------+----------+-- zero --------+--------+--------+- - - -+
 *          | identity | writer's | reader's |                |record 0|record 1|       |
 *          +----------+----------+----------+----------------+--------+--------+- - - -+
 *
 * Record number n (n = 0, 1, ... without end) is in slot n % capacity. The reader owns the numbers in [tail, head); the
 * writer may write number `head` while head - tail < capacity.
 *
 *     a slot:   free --(writer: fill)--> filled --(writer: head = n + 1, release)--> the reader's
 *                ^                                                                        |
 *                +------------(reader: tail = n + 1, release)<--(copied: stored or set aside)
 *
 * Counts. For every log, at any moment, also when its writer was killed:
 *     begun   = records that the writer began to write
 *     head    = records published
 *     lost    = records given up because there was no room
 *     begun - head - lost is 0 or 1: 1 is the record that was being written when the process was killed, "torn".
 * The writer counts begun before it fills a slot, and head or lost after that. A LOST record counts like any other.
 *
 * Room. The file has its full length from the beginning, but its pages are reserved (fallocate) step by step, before
 * records are written to them. If a reservation fails, records are lost and counted. So no write raises SIGBUS. The
 * header and one page of records are reserved when the log is made: most processes need little more.
 *
 * The kernel kills processes where a control group or the machine runs out of memory. So the collector says in the
 * session how much may be reserved, as memory comes and goes, and writers count what they reserve before they do.
 * Beyond it a reservation fails.
 *
 * Files that are cut short while they are mapped raise SIGBUS at the next access, in the writer. The writer then goes
 * on in memory of its own, which nobody reads: what it wrote is lost, and the collector sees the short file.
 *
 * Relays. What a process on another host has recorded comes home with a result, and the process that gets it writes it
 * into a log of this form (ext/core/log/relay.h). Its `pid` and `space` are then those of the other host: a space below
 * 2^31, which no pid namespace of this machine has. Nobody has it locked, and it is over when the lease is free.
 *
 * Spares. A process that needs a log takes one of spare.0, spare.1, ... if there is one, by renaming it to its own
 * log's name; else it makes a file. A spare has its full length and a header of zeros, and its pages are reserved from
 * the beginning as far as its blocks (st_blocks) reach. Its records may hold anything, because no count includes them.
 *
 * The reader trusts nothing. It reads by pread(2), so a file that was cut short is an error and not a signal. It checks
 * the magic, the version, the sizes and every phase; head - tail > capacity is damage. It writes `tail` only.
 *
 * All numbers are in the machine's own byte order, because a log never leaves the machine. Records do, between machines
 * of the same byte order. */
#ifndef SF_ABI_LOG_FORMAT_H
#define SF_ABI_LOG_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define SF_ABI_VERSION 1u
#define SF_SESSION_MAGIC UINT64_C(0x314e535346414e53) /* "SNAFSSN1" in memory */
#define SF_LOG_MAGIC UINT64_C(0x31474f4c46414e53)     /* "SNAFLOG1" in memory */
#define SF_SESSION_PREFIX "snakefish-"                /* of the directory's name */
#define SF_SESSION_PARENT "/dev/shm"
#define SF_SESSION_FILE "session"
#define SF_LOG_PREFIX "log."
#define SF_SPARE_PREFIX "spare."
#define SF_SPARES_MAX 8
#define SF_SESSION_ENV "SNAKEFISH_TRACE_SESSION" /* the directory, for processes that start by exec */

#define SF_LOG_RECORDS_OFFSET 4096u
#define SF_LOG_FIRST_BYTES 4096u          /* of records, reserved when a log is made */
#define SF_LOG_STEP_BYTES 262144u         /* the most that is reserved at once later; it is as much again as there is */
#define SF_LOG_DEFAULT_RECORDS (1u << 17) /* 4 MiB of records */
#define SF_TEXT_BYTES_MAX 4096            /* of a text in TEXT records, with its NUL */
#define SF_NAME_BYTES 48                  /* of a process's name, with its NUL */
#define SF_SAMPLE_HZ_MAX 1000u
#define SF_FIRST_THREAD_NAME "MainThread" /* of lane 0, while no THREAD record says another one */

/* What happened. */
enum sf_event_kind {
#define X(id, name, phase, object, a, b, doc) SF_EVENT_##name = (id),
#include "abi/events.def"
#undef X
};

/* record.flags: the phase in the low two bits, the lane above them. A lane is a thread of the process: the lowest
 * number that was free at its first event. Lane 0 is the process's first thread. The number is given back when the
 * thread ends, and a THREAD record marks where the next one's records begin. When all are taken, the other threads
 * share the last lane; each of them writes a THREAD record there, by which they are counted.
 *
 * Spans. An END has to find its BEGIN:
 *     SPAN    by its number (record.a), which is unique in a log. The user's spans may overlap in any way, and may end
 *             in another lane: asyncio's tasks, generators, spans that are handed from thread to thread. An END with
 *             b = 1 has no BEGIN in this log: it began before a fork or before the session.
 *     others  by thread, kind and object, the last one first. They are calls of the library, which nest in a thread,
 *             but for programs that switch stacks inside a call (greenlet). Then those of different kinds or objects
 *             keep their times; two of the same kind and object get each other's ends. */
enum sf_phase { SF_PHASE_INSTANT = 0, SF_PHASE_BEGIN = 1, SF_PHASE_END = 2 };
#define SF_PHASE_MASK 3u
#define SF_LANE_SHIFT 2
#define SF_LANE_MAX 0x3fffu

enum sf_task_kind {
    SF_TASK_THREAD = 1,
    SF_TASK_GENERATOR = 2,
    SF_TASK_MAP = 3,
    SF_TASK_MAP_WORKER = 4,
    SF_TASK_PROCESS = 5, /* of multiprocessing */
    SF_TASK_EXECUTOR_WORKER = 6,
};
/* What a CHANNEL event speaks of: a Channel, a pipe that trace.instrument has found, all its pipes that found no place
 * in its table. */
enum sf_channel_kind { SF_CHANNEL_OWN = 0, SF_CHANNEL_PIPE = 1, SF_CHANNEL_REST = 2 };
enum sf_outcome { SF_OUTCOME_RETURNED = 1, SF_OUTCOME_RAISED = 2, SF_OUTCOME_EXITED = 3 };
enum sf_wait {
    SF_WAIT_MESSAGE = 1,
    SF_WAIT_ROOM = 2,
    SF_WAIT_CHILD = 3,
    SF_WAIT_REQUEST = 4,
    SF_WAIT_ITEM = 5,
    SF_WAIT_THREAD = 6, /* for the end of a thread of its own process */
    SF_WAIT_WORK = 7,   /* a worker, for arguments or tasks */
};

/* What a CARRIED event speaks of: in the process that has submitted the task (arguments out, result in), or its worker.
 */
enum sf_carried {
    SF_CARRIED_ARGUMENTS_OUT = 1, /* pickled */
    SF_CARRIED_ARGUMENTS_IN = 2,  /* unpickled */
    SF_CARRIED_RESULT_OUT = 3,
    SF_CARRIED_RESULT_IN = 4,
};

struct sf_record {
    uint64_t tsc;    /* the CPU's timestamp counter, raw */
    uint16_t kind;   /* enum sf_event_kind */
    uint16_t flags;  /* phase and lane */
    uint32_t object; /* number of the task, channel or text; 0: none */
    uint64_t a, b;   /* see events.def */
};
static_assert(sizeof(struct sf_record) == 32, "record");
static_assert(offsetof(struct sf_record, kind) == 8 && offsetof(struct sf_record, flags) == 10 &&
                  offsetof(struct sf_record, object) == 12 && offsetof(struct sf_record, a) == 16 &&
                  offsetof(struct sf_record, b) == 24,
              "record layout");

struct sf_log_header {
    /* identity: written once, and magic last, by a release store: while it is 0 the log is still being made */
    uint64_t magic;      /* SF_LOG_MAGIC */
    uint32_t version;    /* SF_ABI_VERSION */
    uint32_t capacity;   /* records; a power of two */
    uint32_t pid;        /* the writer, as its own pid namespace numbers it */
    uint32_t parent_pid; /* the process that forked it, as that one's pid namespace numbers it; of a log that begins
                            later its getppid() then */
    uint32_t family;    /* low half of the number of the tree of forks; task and channel numbers are unique within it */
    uint32_t task;      /* the task this process was forked for; 0: not forked by snakefish */
    uint64_t start_tsc; /* when the log was made */
    uint64_t age_ns; /* of the process at start_tsc, up to 10 ms too much; 0: it was just forked. If the same pid made
                        another log within that time, that is this process's from before an exec */
    uint32_t family_high; /* the other half */
    uint32_t space;       /* inode number of the writer's pid namespace; 0: not known */
    uint64_t parent_tsc;  /* start_tsc of the log of the process that forked this one; 0: that had none, or this process
                             has come by exec */
    /* written by the writer: one cache line */
    uint64_t head;  /* records published; release-stored after the record, acquired by the reader */
    uint64_t begun; /* records begun */
    uint64_t lost;  /* records lost because there was no room */
    uint64_t pad1[5];
    /* written by the reader: one cache line */
    uint64_t tail; /* records taken; release-stored by the reader, acquired by the writer */
    uint64_t pad2[7];
    char name[SF_NAME_BYTES]; /* of the process: NUL-terminated, for people */
};
static_assert(offsetof(struct sf_log_header, capacity) == 12 && offsetof(struct sf_log_header, start_tsc) == 32,
              "log header layout");
static_assert(offsetof(struct sf_log_header, family_high) == 48 && offsetof(struct sf_log_header, space) == 52 &&
                  offsetof(struct sf_log_header, parent_tsc) == 56,
              "who it is");
static_assert(offsetof(struct sf_log_header, head) == 64, "writer's line");
static_assert(offsetof(struct sf_log_header, tail) == 128, "reader's line");
static_assert(offsetof(struct sf_log_header, name) == 192, "name");
static_assert(sizeof(struct sf_log_header) <= SF_LOG_RECORDS_OFFSET, "log header fits its page");

/* The session's state. The collector writes it; only trace.stop(), in a traced process, turns ACTIVE into STOPPING.
 *
 *     ACTIVE --(trace.stop)--> STOPPING --(collector: all logs drained)--> CLOSED
 *        +------(collector: the program has ended, or the collector gives up)----^
 *
 * Writers write events while it is ACTIVE. */
enum sf_session_state { SF_SESSION_ACTIVE = 1, SF_SESSION_STOPPING = 2, SF_SESSION_CLOSED = 3 };

struct sf_session_header {
    uint64_t magic;         /* SF_SESSION_MAGIC */
    uint32_t version;       /* SF_ABI_VERSION */
    uint32_t log_records;   /* capacity that every log must have; a power of two */
    uint32_t state;         /* enum sf_session_state */
    uint32_t wake;          /* futex word (shared): a writer adds 1 and wakes the collector when its log becomes
                               half full, or when the session is to stop. New logs the collector finds by looking */
    uint32_t collector_pid; /* for people */
    uint32_t lost_logs;     /* processes that could not make a log; atomic */
    uint64_t start_tsc;
    uint32_t made_logs;      /* processes that made one; atomic: a log that is gone before it was found is missed */
    uint32_t sample_hz;      /* stacks a second of CPU time that every thread of Python is to take (SAMPLE); 0: none */
    uint64_t reserved_bytes; /* of pages, by all writers together, since the session began; atomic */
    uint64_t may_reserve;    /* how far reserved_bytes may go; 0: as far as the file system lets it */
};
static_assert(sizeof(struct sf_session_header) == 64, "session header");
static_assert(offsetof(struct sf_session_header, state) == 16 && offsetof(struct sf_session_header, wake) == 20 &&
                  offsetof(struct sf_session_header, lost_logs) == 28 &&
                  offsetof(struct sf_session_header, made_logs) == 40 &&
                  offsetof(struct sf_session_header, sample_hz) == 44 &&
                  offsetof(struct sf_session_header, may_reserve) == 56,
              "session header layout");

#endif
