/* The file of a trace, before SQLite sees it: what is at a path, and whose it is.
 *
 * A path is the name of a file, nothing else: "file:x" and ":memory:" are files with those names.
 *
 * Only one collector may write a trace. It holds a lock (flock) on the file from before it writes until after it has
 * closed the database. The kernel frees the lock when the collector dies, and other pid namespaces see it too. SQLite's
 * own locks are of another kind (fcntl) and do not disturb this one. */
#ifndef SF_TRACER_STORE_TRACE_FILE_H
#define SF_TRACER_STORE_TRACE_FILE_H

#include <limits.h>

#include "base/output.h"

#define TRACE_FILE_APPLICATION_ID 0x534e4b46 /* "SNKF", as in schema.sql */

enum trace_file { TRACE_FILE_NONE, TRACE_FILE_EMPTY, TRACE_FILE_TRACE };

/* What is at `path`? One of enum trace_file, or -errno and a sentence: something else. Opens the file for reading only,
 * and without SQLite, which might roll back a journal. */
int trace_file_identify(const char *path, struct sentence *why);

/* Makes an empty file at `path`, and takes the lock. It may be made if there is no file, an empty one (which is kept,
 * with its owner and mode), or an older trace that no collector writes (which is removed). *lock: a descriptor that the
 * caller closes after the database. -errno with a sentence: it may not, or it failed. Of several callers at once, one
 * succeeds and the others get -EBUSY. */
int trace_file_make(const char *path, int *lock, struct sentence *why);

/* Takes the lock on an existing trace. 0; -EBUSY: a collector writes it; -errno. Both with a sentence. */
int trace_file_lock(const char *path, int *lock, struct sentence *why);

/* The path as SQLite should get it, so that it takes it for the name of a file. 0 or -ENAMETOOLONG. */
int trace_file_name(char name[PATH_MAX], const char *path);

#endif
