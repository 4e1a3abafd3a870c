/* Stored traces with maps, made by hand: see hand_trace.h. */
#ifndef SF_TESTS_TRACER_PREDICT_HAND_MAPS_H
#define SF_TESTS_TRACER_PREDICT_HAND_MAPS_H

#include "tracer/analyze/hand_trace.h"

#include "analyze/graph_build.h"
#include "predict/maps.h"

struct fixture {
    sqlite3 *db;
    int cpus; /* of the machine of the run; 0: not known */
    struct processes processes;
    struct graph graph;
    struct program program;
    struct maps maps;
};

static inline void fixture_open(struct fixture *f)
{
    CHECK_EQ(0, processes_init(&f->processes, f->db));
    CHECK_EQ(0, graph_build(&f->graph, f->db, &f->processes));
    CHECK_EQ(0, program_init(&f->program, &f->graph, f->cpus));
    CHECK_EQ(0, maps_init(&f->maps, &f->program));
}

static inline void fixture_close(struct fixture *f)
{
    maps_fini(&f->maps);
    program_fini(&f->program);
    graph_fini(&f->graph);
    processes_fini(&f->processes);
    sqlite3_close(f->db);
}

/* A program that runs for `serial` ns, calls a map with one worker and these tasks, one to a chunk, and runs for 100
 * more. Nothing else takes time: forks, begins, ends and results are there at once. Chunks may have several arguments.
 */
static inline struct fixture map_of(int64_t serial, const int64_t *tasks, int count, int64_t arguments, int chunksize)
{
    struct fixture f = {.db = trace_new()};
    int64_t now = serial;
    for (int i = 0; i < count; i++)
        now += tasks[i];
    trace_process(f.db, 1, 0, now + 100, 0, 0);
    trace_process(f.db, 2, serial, now, 1, 7);
    int64_t map = TRACE_BEGIN(f.db, 1, serial, MAP, 3, chunksize ? count : 0, 1);
    TRACE_SPAN(f.db, 1, serial, serial, FORK, 7, 102, 0);
    int64_t wait = TRACE_BEGIN(f.db, 1, serial, WAIT, 0, SF_WAIT_MESSAGE, 0);
    int64_t run = TRACE_BEGIN(f.db, 2, serial, RUN, 7, 0, 0);
    for (int64_t i = 0, at = serial; i < count; at += tasks[i++])
        TRACE_SPAN(f.db, 2, at, at + tasks[i], CHUNK, 7, i, arguments);
    TRACE_END(f.db, 2, now, RUN, 7, SF_OUTCOME_RETURNED, 0, run);
    TRACE_INSTANT(f.db, 2, now, EXIT, 7, 0, 0);
    TRACE_END(f.db, 1, now, WAIT, 0, SF_WAIT_MESSAGE, 0, wait);
    TRACE_END(f.db, 1, now, MAP, 3, count, 1, map);
    return f;
}

static inline void equal(int64_t *tasks, int count, int64_t ns)
{
    for (int i = 0; i < count; i++)
        tasks[i] = ns;
}

/* Each of 8 results takes the parent 300 to unpickle, after tasks of 1000: on 1 worker that is hidden but for the last
 * one, where the parent has a CPU of its own. */
static inline struct fixture map_with_results(void)
{
    struct fixture f = {.db = trace_new()};
    trace_process(f.db, 1, 0, 8300, 0, 0);
    trace_process(f.db, 2, 0, 8000, 1, 7);
    int64_t map = TRACE_BEGIN(f.db, 1, 0, MAP, 3, 8, 1);
    TRACE_SPAN(f.db, 1, 0, 0, FORK, 7, 102, 0);
    int64_t wait = TRACE_BEGIN(f.db, 1, 0, WAIT, 0, SF_WAIT_MESSAGE, 0);
    int64_t run = TRACE_BEGIN(f.db, 2, 0, RUN, 7, 0, 0);
    for (int64_t i = 0; i < 8; i++) {
        TRACE_SPAN(f.db, 2, i * 1000, (i + 1) * 1000, CHUNK, 7, i, 1);
        TRACE_INSTANT(f.db, 1, (i + 1) * 1000 + 300, PICKLED, 0, 64, (i + 1) * 1000);
    }
    TRACE_END(f.db, 2, 8000, RUN, 7, SF_OUTCOME_RETURNED, 0, run);
    TRACE_INSTANT(f.db, 2, 8000, USAGE, 0, 0, 0);
    TRACE_INSTANT(f.db, 2, 8000, EXIT, 7, 0, 0);
    TRACE_END(f.db, 1, 8300, WAIT, 0, SF_WAIT_MESSAGE, 0, wait);
    TRACE_END(f.db, 1, 8300, MAP, 3, 8, 1, map);
    return f;
}

#endif
