/* The file of a log, in the session's directory: a spare that is taken, or a file that is made; mapped, locked so that
 * the collector finds its process, its pages reserved step by step. See abi/log_format.h.
 *
 * Neither the file nor the session's page is safe from others: a file that is cut short raises SIGBUS (core/os/bus.h).
 * Nothing here blocks. Errors are -errno. */
#ifndef SF_CORE_LOG_LOG_FILE_H
#define SF_CORE_LOG_LOG_FILE_H

#include "abi/log_format.h"
#include "core/os/own_fd.h"

struct sf_log_file {
    struct sf_own_fd fd;
    struct sf_session_header *session; /* the caller's */
    void *mapped;                      /* bytes of it; NULL: there is no log */
    size_t bytes;
    uint64_t reserved; /* records whose pages are reserved */
    uint64_t ready;    /* those of them that were so when the file, a spare, was taken */
};

/* Makes the log of that name, with its first pages, and maps it. It never replaces another one. After an error there is
 * none. -ENOSPC: no memory may be had for it. */
int sf_log_file_make(struct sf_log_file *file, struct sf_session_header *session, int directory, const char *name);

/* Reserves the pages of the first `records` records, or of all `capacity`. */
int sf_log_file_reserve(struct sf_log_file *file, uint64_t records, uint64_t capacity);

/* Unmaps it and closes the descriptor, where it is still ours. The file stays. */
void sf_log_file_close(struct sf_log_file *file);

#endif
