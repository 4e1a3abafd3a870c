/* One process's log on its way into the database: its records become rows, its counts become books. */
#ifndef SF_TRACER_INTAKE_H
#define SF_TRACER_INTAKE_H

#include "clock.h"
#include "ids.h"
#include "life.h"
#include "reader.h"
#include "spans.h"
#include "store.h"
#include "texts.h"

struct intake {
    char file[64];
    struct reader reader;
    struct life life;
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

/* What all intakes of a session work with. */
struct intake_context {
    struct store *store;
    struct ids *ids;
    const struct clock *clock;
    int dir_fd;
    uint32_t capacity;
    uint64_t start_tsc;
    bool recovering;
};

/* Opens the log. 0 also when it is refused (see there); -EAGAIN: still being made, or no descriptors: come again.
 */
int intake_open(struct intake **out, const struct intake_context *context, const char *file);
void intake_free(struct intake *intake);

/* Makes the process's row, or goes on where an earlier collector stopped. */
int intake_register(struct intake *intake, const struct intake_context *context);

/* Is this the log of the process that wrote `before`, from its exec on? Then nothing more comes into `before`. */
bool intake_goes_on(const struct intake *intake, const struct intake *before, const struct intake_context *context);

/* Notes how far the writer has come; intake_take takes no more than that. Returns how full the log was, 0 to 1. */
double intake_look(struct intake *intake);

/* How many records are there to be taken, as of the last look. */
uint64_t intake_left(const struct intake *intake);

/* Makes room in the log without storing anything: intake_take finds its records in a file beside it. -errno: not
 * all of them, there was no room for that file; the rest stays in the log. */
int intake_set_aside(struct intake *intake);

/* Stores up to a batch of records; returns how many it took. 0: all are taken. */
size_t intake_take(struct intake *intake, const struct intake_context *context);

/* Stores the books if they changed. Before a commit. */
void intake_keep_books(struct intake *intake, const struct intake_context *context);

/* Lets the writer use the room again. After a commit. */
void intake_give_back(struct intake *intake);

/* Frees an intake that has ended; its log becomes a spare or goes. */
void intake_remove(struct intake *intake, const struct intake_context *context);

/* No more will come: stores what is still open. */
void intake_end(struct intake *intake, const struct intake_context *context, bool running);

#endif
