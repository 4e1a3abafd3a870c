/* Runs a program again on another number of CPUs, by discrete events.
 *
 * The model:
 *   - Work takes as long as it took in the run. While the processes want more CPUs than there are, all get the same
 * part of what they want; a process that slept for half of its time wants half a CPU, and its sleep takes as long as
 * ever.
 *   - A map has as many workers as there are CPUs, but no more than arguments or chunks, whatever it had in the run.
 * Its process forks them one after the other. They claim by the rule of the map. The map's process takes results in the
 *     order in which they come, and does what comes at the end.
 *   - A map in a worker of another map has the worker's share of the CPUs.
 *   - All other processes are forked where they were, and do what they did. A message is received in the order of the
 *     sends; a receive waits for one.
 *   - Neither memory nor caches are shared: nobody is slower because others work. */
#ifndef SF_TRACER_PREDICT_SIMULATE_H
#define SF_TRACER_PREDICT_SIMULATE_H

#include "predict/maps.h"

/* The longest path of a simulation, backwards from its end: who had to wait for whom. */
struct simulate_path {
    double ns[ACTIVITY_COUNT];            /* together as long as the simulation */
    uint32_t forks, taken, merges, tasks; /* how many are on the path */
    double longest_ns;                    /* the longest task on the path, */
    int longest_map;                      /* and its map; -1: none */
    int busiest; /* the process with the most of ACTIVITY_RUNNING on the path, or PROCESS_NONE */
    double busiest_ns;
    int maps; /* how many maps have a part in the path */
};

/* The duration in ns; the path too, if it is not NULL. cpus: at least 1. -1: no memory. */
double simulate(const struct maps *maps, const struct program *program, int cpus, const struct map_changes *changes,
                struct simulate_path *path);

#endif
