/* Imports one process's log into the database: its records become rows of `event`, its counts a row of `log`. */
#ifndef SF_TRACER_COLLECT_LOG_IMPORT_H
#define SF_TRACER_COLLECT_LOG_IMPORT_H

#include "base/clock.h"
#include "collect/author.h"
#include "collect/deaths.h"
#include "collect/reader.h"
#include "collect/spans.h"
#include "collect/texts.h"
#include "store/ids.h"
#include "store/store.h"

/* A lane, as of its last record. */
struct log_lane {
    uint64_t tsc;    /* of that record */
    uint64_t thread; /* of its last THREAD record: identifies the thread; 0: there was none */
};

struct log_import {
    char file[64];
    struct reader reader;
    struct author author; /* the process that writes the log */
    struct spans *spans;
    struct texts *texts;
    struct log_lane *lanes; /* by number */
    unsigned lane_count;
    struct store_log counts;
    struct deaths *deaths; /* NULL: nobody watches the process */
    uint32_t death;        /* number of that watch */
    uint64_t alive_tsc;    /* when its process was last seen to run */
    uint64_t over_tsc;     /* when its process was first seen to be dead; 0: it was not */
    uint64_t usage_tsc;    /* its last USAGE record; 0: it has written none */
    bool refused;          /* not a log of this session; kept, so that it is not opened again */
    bool ended;            /* everything is stored; after the next commit the file can be removed */
    bool changed;          /* counts are newer than the stored ones */
};

/* What all imports of a session work with. */
struct log_import_context {
    struct store *store;
    struct ids *ids;
    const struct clock *clock;
    int dir_fd;
    uint32_t capacity;
    uint64_t start_tsc;
    struct deaths *deaths; /* may be NULL */
    bool recovering;       /* an earlier collector may have imported part of the logs */
};

/* Opens the log. 0 also if it is refused (see there). -EAGAIN: it is still being made. -EMFILE, -ENOMEM and the like:
 * it could not be opened now. After either, try again later. */
int log_import_open(struct log_import **out, const struct log_import_context *context, const char *file);
void log_import_free(struct log_import *import);

/* Makes the rows of the log and of its process, or continues where an earlier collector stopped. -ENOMEM. */
int log_import_register(struct log_import *import, const struct log_import_context *context);

/* Is this the next log, after an exec, of the process that wrote `before`? Then `before` is complete. */
bool log_import_continues(const struct log_import *import, const struct log_import *before,
                          const struct log_import_context *context);

/* Reads how far the writer has come; log_import_take takes records up to there. Returns how full the log is, 0 to 1. */
double log_import_look(struct log_import *import);

/* How many records are still to be taken, as of the last look. */
uint64_t log_import_left(const struct log_import *import);

/* Makes room in the log without storing anything: its records move into the spill file, from which log_import_take
 * takes them later. -errno: there was no room for all of them; the others are still in the log. */
int log_import_set_aside(struct log_import *import);

/* Stores up to a batch of records and returns how many it took; 0: there are no more. */
size_t log_import_take(struct log_import *import, const struct log_import_context *context);

/* Stores the counts if they changed. To be called before each commit. */
void log_import_store_counts(struct log_import *import, const struct log_import_context *context);

/* Lets the writer use the room of the records that were taken again. To be called after each commit. */
void log_import_release(struct log_import *import);

/* The process writes no more, or (running) is to be traced no more: stores its name and the spans that are still open.
 */
void log_import_end(struct log_import *import, const struct log_import_context *context, bool running);

/* Frees an import that has ended. Its log is recycled as a spare or removed. */
void log_import_remove(struct log_import *import, const struct log_import_context *context);

#endif
