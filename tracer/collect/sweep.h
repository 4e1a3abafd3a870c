/* Removes what is left of sessions whose collector was killed while it made them. */
#ifndef SF_TRACER_COLLECT_SWEEP_H
#define SF_TRACER_COLLECT_SWEEP_H

/* A collector that is killed between making its session's directory and writing the session's magic leaves a directory
 * that no process knows of. Removes from `parent` every directory that has a session's name, belongs to this user, is
 * closed to others, is older than a minute, whose process is no collector now, and which is empty or holds only a
 * session file without magic that no process has locked. One that cannot be removed stays, and no error is reported: it
 * does no harm. */
void sweep_abandoned(const char *parent);

#endif
