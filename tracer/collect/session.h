/* The session's directory and the page in it that every traced process maps. See ext/abi/log_format.h.
 *
 * Anybody of this user may take them away: a cleaner of temporary files, systemd's RemoveIPC, `rm -r`. So nothing here
 * relies on them. The page is read and written by pread and pwrite, as logs are, because a file that was cut short then
 * is an error and not a signal. The trace ends where that page is damaged. A directory that is gone is made anew, so
 * that processes that are forked later find a place for their logs. */
#ifndef SF_TRACER_COLLECT_SESSION_H
#define SF_TRACER_COLLECT_SESSION_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/log_format.h"
#include "base/output.h"

struct session {
    char dir[512];
    int dir_fd, fd;                   /* the directory, and its session file, locked by flock */
    struct sf_session_header *header; /* mapped, but only for its futex word: see above */
    struct sf_session_header last;    /* the page as it was read last */
    unsigned removals;                /* how often the directory or its session file was found to be gone */
    bool is_damaged;                  /* the page was cut short or overwritten: no process writes any more */
};

/* Makes the directory and the file, for logs of `log_records` records, or of fewer where memory is short. The session
 * is ACTIVE from here on. */
int session_make(struct session *session, uint32_t log_records, uint64_t start_tsc, struct sentence *why);

/* How many stacks of Python are to be sampled in each second of CPU time. For processes that join from now on. */
void session_set_sample_hz(struct session *session, uint32_t hz);

/* Takes over the session at `dir`, whose collector has died. Refuses the session of another user, and one that is still
 * being collected. Blocks for up to a second while some process holds the lock. */
int session_take(struct session *session, const char *dir, struct sentence *why);

/* Notes in the directory which database the session is collected into. Should that be impossible, it stays unknown. */
void session_note_database(const struct session *session, const char *path);

/* The absolute path that was noted. false: there is none. */
bool session_database(const struct session *session, char path[PATH_MAX]);

/* Removes the logs, the file and the directory. Call session_close after it. */
int session_remove(struct session *session, struct sentence *why);

/* Releases memory and descriptors; the directory stays. */
void session_close(struct session *session);

/* The directory's own name: what the database calls the session. */
const char *session_name(const struct session *session);

/* Reads the page, and makes the directory anew if it is gone. Takes some microseconds. */
void session_look(struct session *session);

/* As of now, or as of the last look where the page is damaged. */
uint32_t session_state(struct session *session);
uint32_t session_lost_logs(struct session *session);
uint32_t session_made_logs(struct session *session);
void session_set_state(struct session *session, uint32_t state);

/* Lets the traced processes reserve so many more bytes for their logs, together. */
void session_grant(struct session *session, uint64_t bytes);

/* Sleeps until a writer wakes the collector, at most timeout_ns. `seen` is session_wake_count() from before the logs
 * were looked at: if a writer has asked for a wake-up since then, returns at once. Returns early on signals. */
uint32_t session_wake_count(struct session *session);
void session_wait(struct session *session, uint32_t seen, int64_t timeout_ns);

/* Makes session_wait return, if it is running or about to run. Async-signal-safe. */
void session_wake(struct session *session);

#endif
