/* One process's log on its way into the database: its records become rows, its counts become books. */
#ifndef SF_TRACER_COLLECT_LOG_IMPORT_H
#define SF_TRACER_COLLECT_LOG_IMPORT_H

#include "base/clock.h"
#include "base/liveness.h"
#include "collect/reader.h"
#include "collect/spans.h"
#include "collect/texts.h"
#include "store/ids.h"
#include "store/store.h"

struct log_import {
    char file[64];
    struct reader reader;
    struct liveness liveness;
    struct spans *spans;
    struct texts *texts;
    uint64_t *lane_tsc; /* the last one seen, for each lane */
    unsigned lanes;
    struct store_log books;
    uint64_t over_tsc; /* when its process was first seen to be over; 0: it was not */
    bool refused;      /* not a log of this session: known, so that it is not looked at again */
    bool ended;        /* its books are stored; after the commit its file can go */
    bool changed;      /* books are newer than the stored ones */
};

/* What all imports of a session work with. */
struct log_import_context {
    struct store *store;
    struct ids *ids;
    const struct clock *clock;
    int dir_fd;
    uint32_t capacity;
    uint64_t start_tsc;
    bool recovering;
};

/* Opens the log. 0 also when it is refused (see there); -EAGAIN: still being made, or no descriptors: come again. */
int log_import_open(struct log_import **out, const struct log_import_context *context, const char *file);
void log_import_free(struct log_import *import);

/* Makes the process's row, or goes on where an earlier collector stopped. */
int log_import_register(struct log_import *import, const struct log_import_context *context);

/* Is this the log of the process that wrote `before`, from its exec on? Then nothing more comes into `before`. */
bool log_import_goes_on(const struct log_import *import, const struct log_import *before,
                        const struct log_import_context *context);

/* Notes how far the writer has come; log_import_take takes no more than that. Returns how full the log was, 0 to 1. */
double log_import_look(struct log_import *import);

/* How many records are there to be taken, as of the last look. */
uint64_t log_import_left(const struct log_import *import);

/* Makes room in the log without storing anything: log_import_take finds its records in a file beside it. -errno: not
 * all of them, there was no room for that file; the rest stays in the log. */
int log_import_set_aside(struct log_import *import);

/* Stores up to a batch of records; returns how many it took. 0: all are taken. */
size_t log_import_take(struct log_import *import, const struct log_import_context *context);

/* Stores the books if they changed. Before a commit. */
void log_import_keep_books(struct log_import *import, const struct log_import_context *context);

/* Lets the writer use the room again. After a commit. */
void log_import_give_back(struct log_import *import);

/* Frees an import that has ended; its log becomes a spare or goes. */
void log_import_remove(struct log_import *import, const struct log_import_context *context);

/* No more will come: stores what is still open. */
void log_import_end(struct log_import *import, const struct log_import_context *context, bool running);

#endif
