/* How long a run would take on other numbers of CPUs, how sure that is, and what keeps it from being faster. See
 * simulate.h for the model. */
#ifndef SF_TRACER_PREDICT_PREDICT_H
#define SF_TRACER_PREDICT_PREDICT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/output.h"

enum { PREDICT_CPUS_MOST = 4096, PREDICT_COUNT_MOST = 64, PREDICT_USUAL_COUNT = 7 };

/* The numbers of CPUs where nobody asks for others. */
extern const int predict_usual_cpus[PREDICT_USUAL_COUNT];

struct prediction {
    int cpus;
    double seconds;
    /* The middle 95 % of simulations in which each task takes as long as another one of its map did, drawn anew, and
     * each map's forks as long as another one; and `seconds`. */
    double low, high;
    double speedup;        /* the seconds on one CPU / these */
    struct sentence limit; /* what most of the time on the longest path goes into */
};

struct predict {
    const int *cpus;         /* rising, from 1 to PREDICT_CPUS_MOST */
    int count;               /* at most PREDICT_COUNT_MOST */
    bool with_run;           /* also on as many as the machine of the run had, four times as many, and as its maps had
                              * workers, while there is room; `count` counts these too */
    int machine;             /* as in struct map_changes */
    const double *slowdowns; /* [1..PREDICT_CPUS_MOST], of ceiling.h; NULL: nobody is slower because others work */

    struct prediction predictions[PREDICT_COUNT_MOST];
    double measured_s; /* how long the run took */
    int measured_cpus; /* as many as its maps had workers, at most; without maps, as its machine had; 0: unknown */
    int enough;        /* the fewest of the CPUs with which it is within 2 % of its shortest */
    uint32_t maps, processes; /* maps that were handed out again; processes that did what they did in the run */
};

/* Fills in what is behind `slowdowns`. Nothing is stored. 0, -ENOMEM, -EIO, or -ENOTSUP of a
 * run whose work cannot be handed out anew, with the reason. */
int predict(struct predict *predict, sqlite3 *db, struct sentence *why);

#endif
