/* Crews: workers that stay, forked by one process and fed with chunks while it does something else. Those of imap, of
 * an Executor, or of a Pool of multiprocessing. Found among the marks of a program. */
#ifndef SF_TRACER_PREDICT_CREW_H
#define SF_TRACER_PREDICT_CREW_H

#include <stddef.h>

#include "predict/program_struct.h"

/* Where the process of a crew forks a worker of it. */
struct crew_fork {
    uint32_t crew;   /* + 1: the crew's region; 0: none */
    uint32_t worker; /* its number in the crew, from 0 */
};

/* What is needed only while a program is made. */
struct crews {
    struct crew_fork *fork_at; /* for each mark */
    struct fork_marks {
        uint32_t begin, end; /* the FORK of that process; GRAPH_NONE: there is no such mark outside of maps */
        bool in_map;         /* but one inside */
    } * forks;               /* for each process */
};

/* Adds crews to the program's regions, fills its `releases` and `unclear`. needs: for each step, who has provided what
 * it requires. region_room: of the program's regions. 0 or -ENOMEM; fini in every case. */
int crews_find(struct crews *crews, struct program *program, const uint32_t *needs, size_t region_room);
void crews_fini(struct crews *crews);

#endif
