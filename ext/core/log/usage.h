/* The CPU time that this process has used, as an event at its end. With it one sees whether a process that seems to run
 * was on a CPU, and whether children of it have no log. */
#ifndef SF_CORE_LOG_USAGE_H
#define SF_CORE_LOG_USAGE_H

/* From here on its CPU time counts; for a process that joins a session. A forked process has used none before. Lets
 * exit() write the event, here and in processes forked from this one; those that end by _exit write it themselves, or
 * there is none. */
void sf_usage_begin(void);

/* Writes the USAGE event, if events are wanted: at the process's end, or at that of its log. There may be several of
 * one process; the last one counts. One getrusage for itself and one for its children. */
void sf_usage_write(void);

#endif
