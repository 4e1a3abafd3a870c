/* What is in a new trace, in one line. */
#ifndef SF_TRACER_COMMANDS_SUMMARY_H
#define SF_TRACER_COMMANDS_SUMMARY_H

#include <sqlite3.h>
#include <stdbool.h>

/* Are there no events but those that every traced process writes? */
bool summary_says_nothing(sqlite3 *db);

/* Said of such a trace: why there may be none, and how to get some. */
extern const char summary_no_events[];

/* Writes the line to standard error: processes, events, losses, what to change (of a very large trace only what
 * was waited for most), and the next command. It stores the analysis, as `analyze` does. */
void summary_note(const char *path);

#endif
