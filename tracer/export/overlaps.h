/* Finds the spans that do not nest in their row of the viewer: they overlap another one there, or end in another row.
 * Without them the rest nests. Of two that overlap, the user's are taken out, and of two of the library the later one. */
#ifndef SF_TRACER_EXPORT_OVERLAPS_H
#define SF_TRACER_EXPORT_OVERLAPS_H

#include <sqlite3.h>

/* Reads the view span_order, fills the table overlapping (chrome.sql). 0, -ENOMEM or -EIO. */
int overlaps_find(sqlite3 *db);

#endif
