/* A trace session as a traced process finds it: its directory and the session file in it (abi/log_format.h). Another
 * user may have made them, so they are checked before they are used. */
#ifndef SF_CORE_LOG_SESSION_H
#define SF_CORE_LOG_SESSION_H

#include "abi/log_format.h"

/* Opens the session's directory, which must be this user's, closed to all others, and no symlink. A descriptor
 * (close-on-exec), the caller's; or -errno (-EPERM: it is not like that). */
int sf_session_open(const char *directory);

/* Maps the session file, the caller's until sf_session_unmap. 0, -EPERM: the file is not this user's or not a regular
 * one, -EPROTO: not a session of this version, -ESHUTDOWN: it is over, or another -errno. */
int sf_session_map(int directory_fd, struct sf_session_header **out);

void sf_session_unmap(struct sf_session_header *session);

/* Makes an ACTIVE session, for logs of so many records, in a directory that has none. It is for this process and its
 * forks, and has no collector: see parcel.h. 0 or -errno. */
int sf_session_make(const char *directory, uint32_t log_records);

/* Removes the session file: who has mapped it needs it no more, and others are to find none. */
void sf_session_unlink(const char *directory);

#endif
