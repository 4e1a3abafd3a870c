/* What the diseases (diseases.h) are looked for in: the graph with its replays, the facts, the tables of the analysis.
 */
#ifndef SF_TRACER_ANALYZE_ADVISOR_H
#define SF_TRACER_ANALYZE_ADVISOR_H

#include <sqlite3.h>
#include <stddef.h>

#include "analyze/facts.h"
#include "analyze/graph.h"
#include "analyze/load_balance.h"
#include "analyze/replay.h"

struct advisor {
    sqlite3 *db;
    const struct graph *graph;
    struct facts facts;
    struct load_balance load;
    struct replay_costs as_it_was; /* as it would have been untraced, and if no other program had taken the CPUs */
    double base_ns;                /* its duration */
    double cpu_share;              /* of the time that processes seem to need a CPU, that in which they had one */
    double path_ns;                /* the critical path without waits for a CPU */
    int cpus;                      /* at least 1 */
    double free_cpus;              /* those that it can have beside other programs */
    int children;                  /* processes that were forked for a task */
    double idle;                   /* the share of the CPUs' time that nobody used, 0 to 1; -1: not known */
};

/* 0, -ENOMEM or -EIO; fini in every case. */
int advisor_init(struct advisor *advisor, sqlite3 *db, const struct graph *graph);
void advisor_fini(struct advisor *advisor);

/* How many times as fast it would be at these costs, as far as the CPUs allow; at least 1. */
double advisor_speedup(const struct advisor *advisor, const struct replay_costs *costs);

/* The same if it took that long instead of base_ns, with all of its work still to be done. */
double advisor_speedup_to(const struct advisor *advisor, double ns);

/* The same as promises: no more than the CPUs allow that it can have beside other programs. */
double advisor_at_least(const struct advisor *advisor, const struct replay_costs *costs);
double advisor_at_least_to(const struct advisor *advisor, double ns);

/* The activity's share of the critical path without waits for a CPU, 0 to 1. */
double advisor_path_share(const struct advisor *advisor, enum category category);

/* The ledger's time in the category: of all processes; of those that were forked for a task; of one. */
double advisor_all_ns(const struct advisor *advisor, enum category category);
double advisor_children_ns(const struct advisor *advisor, enum category category);
double advisor_process_ns(const struct advisor *advisor, int process, enum category category);

/* The function that most of the CPU time is in, of a process (PROCESS_NONE: of all), by the samples of Python's stacks:
 * as
 * ", 58 % of it in f (m.py:12)". Empty if there are too few samples, or no function has much. Returns `to`. */
const char *advisor_function(const struct advisor *advisor, int process, char *to, size_t size);

/* The same of what the process did before its first fork. */
const char *advisor_function_before_forks(const struct advisor *advisor, int process, char *to, size_t size);

/* The process's or the Channel's name, or its number. Returns `to`. */
const char *advisor_name(const struct advisor *advisor, int process, char *to, size_t size);
const char *advisor_channel(const struct advisor *advisor, int64_t channel, char *to, size_t size);

#endif
