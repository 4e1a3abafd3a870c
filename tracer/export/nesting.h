/* Gives the slices of each row of the viewer times that nest strictly. */
#ifndef SF_TRACER_EXPORT_NESTING_H
#define SF_TRACER_EXPORT_NESTING_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

/* What has been written of a row, from its end backwards. {0} before the row's last slice. */
struct nesting {
    int64_t edge_ns; /* the begin or end that comes next in time */
    bool has_edge, is_begin;
};

/* The time for an end, or a begin, that lies before all that was fitted so far. */
int64_t nesting_end(struct nesting *nesting, int64_t ns);
int64_t nesting_begin(struct nesting *nesting, int64_t ns);

/* Reads the view drawn_edge, and fills the table fitted with the slices whose times must change (both are in
 * chrome.sql). 0 or -EIO. */
int nesting_fit(sqlite3 *db);

#endif
