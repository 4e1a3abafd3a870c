/* What is in a new trace, in one line. */
#ifndef SF_TRACER_COMMANDS_SUMMARY_H
#define SF_TRACER_COMMANDS_SUMMARY_H

/* Said of a trace without events: why there may be none, and how to get some. */
extern const char summary_no_events[];

/* Writes the line to standard error: processes, events, losses, what was waited for most, and the next command. */
void summary_note(const char *path);

#endif
