/* What the processes of a run did, as operations that can be done again in another order and on another number of CPUs:
 * for each process a list. A graph says when things happened; a program only says what has to be there before.
 *
 * A map's call is one operation of the process that called it, and what its workers did are units of work, which
 * whoever is free may do (struct map in maps.h). The workers of such a map have operations, but are not launched.
 *
 * Workers that stay, those of imap, an Executor or a Pool of multiprocessing, are a crew. Their process goes on with
 * its own operations after it has forked them, and they have units of work too (crew.h).
 *
 * What a program leaves out, because it depends on the number of CPUs: the time without a CPU, the waits of a map's
 * process for its workers, and those of the workers for room for results. */
#ifndef SF_TRACER_PREDICT_PROGRAM_H
#define SF_TRACER_PREDICT_PROGRAM_H

#include "predict/program_struct.h"

/* The graph must outlive it. cpus: of the machine of the run; 0: not known. Where all of them were in use, the time of
 * a process that it was on none was lack of a CPU, and not sleep. 0 or -ENOMEM; fini in every case. */
int program_init(struct program *program, const struct graph *graph, int64_t cpus);
void program_fini(struct program *program);

/* Does it only work and pause, as far as anybody else can tell? */
bool program_is_plain(const struct program *program, uint32_t from, uint32_t to);

#endif
