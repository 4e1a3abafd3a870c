/* Finds the spans that do not nest in their row of the viewer: they overlap another one there, or end in another row.
 * Without them the rest nests. Of the user's spans those are all that overlap any other; of the library's, the later
 * one of two that overlap each other. */
#ifndef SF_TRACER_EXPORT_OVERLAPS_H
#define SF_TRACER_EXPORT_OVERLAPS_H

#include <sqlite3.h>

/* Reads the view span_end, fills the table overlapping (both are in chrome.sql). 0, -ENOMEM or -EIO. */
int overlaps_find(sqlite3 *db);

#endif
