/* map by a shared counter: each worker takes the next chunk as it becomes free, and streams its results back.
 *
 * The counter and the claims are shared memory. A worker claims by fetch-add and then notes the chunk in its claim; the
 * parent reads a claim only of a worker that has died. A chunk that a dead worker had claimed without noting it yet is
 * found when no worker is left and the chunk is missing. */
#include "py/workers/map.h"

#include "core/log/log.h"
#include "core/os/process.h"
#include "core/os/shm.h"
#include "core/result/stream.h"
#include "core/ring/ring_wait.h"
#include "py/base/errors.h"
#include "py/base/wait.h"
#include "py/message/arrival.h"
#include "py/task/task.h"
#include "py/trace/stretch.h"

#include <errno.h>

#define NO_CLAIM UINT64_MAX
#define ALONE 0x100u                     /* with a tag: one result, not a list of them */
#define ALONE_BYTES (64 << 10)           /* of a result that travels alone, without being pickled */
#define BLOCK_MOST ((Py_ssize_t)1 << 16) /* items in a block */
#define BLOCK_NS INT64_C(2000000)        /* about how long a worker computes between two sends */

struct board {
    _Atomic uint64_t next;     /* the next chunk; workers add, the parent stores `chunks` to stop them */
    _Atomic uint64_t claims[]; /* by worker: the chunk it works on, NO_CLAIM */
};

struct worker {
    struct sf_task task;
    struct run *run;
    uint32_t number;           /* in run->workers, and its source in the stream */
    struct sf_arrival arrival; /* of the block under way from it */
    Py_ssize_t block;          /* the worker's: how many items it computes between two sends */
    bool gone;                 /* reaped, and everything it sent was taken */
};

struct run {
    struct sf_map *map;
    struct board *board;
    size_t board_bytes;
    struct sf_ring *ring;
    struct worker *workers;
    Py_ssize_t started; /* workers */
    Py_ssize_t missing; /* the first chunk that was missing at the last look */
    bool look;          /* for dead workers */
    int64_t looked_ns;  /* when that was last done */
};

/* ---- in the worker ---- */

struct pushing {
    struct run *run;
    struct sf_stream_out out;
};

static int try_push(void *what)
{
    struct pushing *pushing = what;
    return sf_stream_push(pushing->run->ring, &pushing->out);
}

static int sleep_to_push(void *what, int64_t timeout_ns)
{
    struct pushing *pushing = what;
    return sf_ring_wait_room(pushing->run->ring, sizeof(struct sf_stream_head) + SF_STREAM_PIECE_BYTES, timeout_ns);
}

/* Sends a list of results, one result (ALONE), or what was raised instead (value NULL), as those of argument `first`.
 * 0, or -1 with an exception that ends the worker: SystemExit is one. */
static int send(struct worker *worker, Py_ssize_t first, PyObject *value, uint32_t alone)
{
    struct run *run = worker->run;
    struct sf_message message;
    char what[SF_MAP_WHAT_BYTES];
    int exit_status;
    if (!value && PyErr_ExceptionMatches(PyExc_SystemExit))
        return -1; /* told by the worker's death */
    sf_map_describe(run->map, first / run->map->chunk, what);
    uint32_t tag = sf_outcome_pack_message(value, what, &message, &exit_status);
    struct pushing pushing = {run,
                              {.head = {worker->number, tag | alone, (uint64_t)first, message.bytes, 0},
                               .parts = message.parts,
                               .count = message.count}};
    struct sf_waiting waiting = {try_push, sleep_to_push, &pushing, SF_WAIT_ROOM, 0};
    uint64_t from = sf_stretch_begin(message.bytes);
    int error = sf_wait(&waiting, true, SF_FOREVER);
    sf_log_stretch(SF_EVENT_COPIED, from, message.bytes);
    if (error && error != SF_RAISED)
        sf_error(error, "cannot send the results of a chunk");
    sf_message_fini(&message);
    return error ? -1 : 0;
}

static bool is_large(PyObject *value)
{
    return (PyBytes_CheckExact(value) && PyBytes_GET_SIZE(value) >= ALONE_BYTES) ||
           (PyByteArray_CheckExact(value) && PyByteArray_GET_SIZE(value) >= ALONE_BYTES);
}

/* Computes up to `block` results into the list, fewer where one is large, which is left in *large. 0, or -1: raised. */
static int compute_block(struct worker *worker, struct sf_map_walk *walk, Py_ssize_t block, PyObject *list,
                         PyObject **large)
{
    for (; block > 0 && walk->at < walk->end && !*large; block--) {
        PyObject *value = sf_map_walk_next(worker->run->map, walk);
        if (!value)
            return -1;
        if (is_large(value)) {
            *large = value;
            continue;
        }
        int failed = PyList_Append(list, value);
        Py_DECREF(value);
        if (failed)
            return -1;
    }
    return 0;
}

/* Computes the next block and sends it. 1: go on, 0: f raised, and that was sent, -1: an exception that ends the
 * worker, or this process is a fork of it. */
static int work_block(struct worker *worker, struct sf_map_walk *walk)
{
    Py_ssize_t first = walk->at;
    PyObject *large = NULL, *list = PyList_New(0), *raised = NULL;
    int failed = list ? compute_block(worker, walk, worker->block, list, &large) : -1;
    if (!sf_child_is_self(&worker->task.child)) { /* a fork of it: the chunk is not its to send */
        Py_XDECREF(list);
        Py_XDECREF(large);
        return -1;
    }
    if (failed)
        raised = sf_take_raised();
    Py_ssize_t count = list ? PyList_GET_SIZE(list) : 0;
    int go_on = count && send(worker, first, list, 0) ? -1 : 1;
    if (go_on > 0 && large && send(worker, first + count, large, ALONE))
        go_on = -1;
    if (go_on > 0 && raised) {
        sf_put_raised(raised);
        raised = NULL;
        go_on = send(worker, first + count, NULL, 0);
    }
    Py_XDECREF(raised);
    Py_XDECREF(large);
    Py_XDECREF(list);
    return go_on;
}

/* Blocks keep the parent busy while the workers compute: each is to take about as long. */
static void adapt_block(struct worker *worker, int64_t took_ns)
{
    if (took_ns < BLOCK_NS / 2 && worker->block < BLOCK_MOST)
        worker->block *= 2;
    else if (took_ns > BLOCK_NS * 2 && worker->block > 1)
        worker->block /= 2;
}

/* Works through a chunk. 1: go on, 0: f raised, -1: an exception that ends the worker. */
static int work(struct worker *worker, Py_ssize_t chunk)
{
    struct sf_map_walk walk;
    if (sf_map_walk_begin(worker->run->map, chunk, &walk))
        return send(worker, chunk * worker->run->map->chunk, NULL, 0);
    uint64_t size = (uint64_t)(walk.end - walk.at);
    sf_log_write(SF_EVENT_CHUNK, SF_PHASE_BEGIN, worker->task.child.task, (uint64_t)chunk, size);
    int go_on = 1;
    while (go_on > 0 && walk.at < walk.end) {
        int64_t began_ns = sf_monotonic_ns();
        go_on = work_block(worker, &walk);
        adapt_block(worker, sf_monotonic_ns() - began_ns);
    }
    sf_map_walk_end(&walk);
    if (sf_child_is_self(&worker->task.child))
        sf_log_write(SF_EVENT_CHUNK, SF_PHASE_END, worker->task.child.task, (uint64_t)chunk, size);
    return go_on;
}

static PyObject *work_all(struct sf_task *task)
{
    struct worker *worker = (struct worker *)((char *)task - offsetof(struct worker, task));
    struct board *board = worker->run->board;
    int go_on = 1;
    while (go_on > 0) {
        uint64_t chunk = atomic_fetch_add(&board->next, 1);
        if (chunk >= (uint64_t)worker->run->map->chunks)
            break;
        atomic_store(&board->claims[worker->number], chunk);
        go_on = work(worker, (Py_ssize_t)chunk);
        if (go_on >= 0) /* else its death speaks of this chunk */
            atomic_store(&board->claims[worker->number], NO_CLAIM);
    }
    return go_on < 0 ? NULL : Py_NewRef(Py_None);
}

/* ---- in the parent ---- */

/* Once a chunk has failed only those before it still matter: they were claimed earlier, so they are under way. */
static bool finished(struct run *run)
{
    while (run->missing < run->map->failed_chunk && sf_map_is_whole(run->map, run->missing))
        run->missing++;
    return run->missing >= run->map->failed_chunk;
}

/* Keeps what a whole message was: results, or an exception. opened: stolen; NULL: it could not be unpickled. */
static void open_block(struct run *run, struct worker *worker, const struct sf_stream_head *head, PyObject *opened)
{
    struct sf_map *map = run->map;
    Py_ssize_t first = (Py_ssize_t)head->number;
    char what[SF_MAP_WHAT_BYTES];
    sf_map_describe(map, first / map->chunk, what);
    struct sf_outcome_origin origin = {worker->task.child.pid, 0, worker->task.name, what};
    PyObject *value = sf_outcome_open_message((enum sf_tag)(head->tag & ~ALONE), opened, &origin);
    if (!value)
        sf_map_fail(map, first / map->chunk);
    else if (head->tag & ALONE)
        sf_map_keep_one(map, first, value);
    else
        sf_map_keep(map, first, value);
    if (map->failure)
        atomic_store(&run->board->next, (uint64_t)map->chunks);
}

/* Takes one piece. 0, -EAGAIN, SF_RAISED or -errno. */
static int pull(struct run *run)
{
    struct sf_stream_head head;
    struct sf_ring_slot slot;
    uint64_t bytes;
    int error = sf_stream_pull(run->ring, &head, &slot, &bytes);
    if (error)
        return error;
    if (head.source >= (uint32_t)run->started || head.number >= (uint64_t)run->map->count) {
        sf_ring_release(run->ring, &slot);
        return -EBADMSG;
    }
    struct worker *worker = &run->workers[head.source];
    PyObject *opened;
    int whole = sf_arrival_take(&worker->arrival, run->ring, &head, &slot, bytes, &opened);
    if (whole > 0)
        open_block(run, worker, &head, opened);
    return whole < 0 ? SF_RAISED : 0;
}

static void fail_by_death(struct run *run, struct worker *worker, Py_ssize_t chunk)
{
    sf_map_fail_by_death(run->map, &worker->task, chunk);
    atomic_store(&run->board->next, (uint64_t)run->map->chunks);
}

/* Looks for workers that have died. Those that had a chunk fail it, after all they had sent was taken. 0 or SF_RAISED,
 * -errno. */
static int bury(struct run *run)
{
    Py_ssize_t gone = 0;
    struct worker *dead = NULL;
    for (Py_ssize_t i = 0; i < run->started; i++) {
        struct worker *worker = &run->workers[i];
        if (!worker->gone && sf_child_wait(&worker->task.child, false, 0) == 0) {
            int got;
            while ((got = pull(run)) == 0) {
            }
            if (got != -EAGAIN)
                return got;
            worker->gone = true;
            uint64_t claim = atomic_load(&run->board->claims[i]);
            if (claim != NO_CLAIM && !sf_map_is_whole(run->map, (Py_ssize_t)claim))
                fail_by_death(run, worker, (Py_ssize_t)claim);
        }
        gone += worker->gone;
        if (worker->gone && worker->task.child.exit_status != 0)
            dead = worker;
    }
    if (gone == run->started && !finished(run))
        fail_by_death(run, dead ? dead : &run->workers[0], run->missing);
    return 0;
}

static int try_finish(void *what)
{
    struct run *run = what;
    int got;
    while ((got = pull(run)) == 0)
        if (finished(run))
            return 0;
    if (got != -EAGAIN)
        return got;
    if (run->look && (got = bury(run)))
        return got;
    return finished(run) ? 0 : -EAGAIN;
}

static int sleep_for_results(void *what, int64_t timeout_ns)
{
    struct run *run = what;
    int slept = sf_ring_wait_message(run->ring, timeout_ns);
    run->look = sf_liveness_is_due(slept, &run->looked_ns);
    return slept == -EPIPE ? -ETIMEDOUT : slept; /* all workers may be dead with their results sent: bury finds out */
}

static int start_workers(struct run *run)
{
    struct sf_map *map = run->map;
    for (Py_ssize_t i = 0; i < map->workers; i++) {
        struct worker *worker = &run->workers[i];
        worker->run = run;
        worker->number = (uint32_t)i;
        worker->block = 1;
        worker->task.run = work_all;
        if (sf_task_init(&worker->task, SF_TASK_MAP_WORKER, map->f, NULL, NULL, NULL, NULL, NULL) ||
            sf_task_start(&worker->task))
            return -1;
        run->started++;
    }
    return 0;
}

/* Waits for the workers to end by themselves after the last chunk. */
static int reap_all(struct run *run)
{
    for (Py_ssize_t i = 0; i < run->started; i++) {
        int got = sf_child_wait(&run->workers[i].task.child, true, SF_FOREVER);
        if (got) {
            if (got != SF_RAISED)
                sf_error(got, "cannot wait for a worker");
            return -1;
        }
    }
    return 0;
}

static int run_all(struct run *run)
{
    if (start_workers(run))
        return -1;
    struct sf_waiting waiting = {try_finish, sleep_for_results, run, SF_WAIT_MESSAGE, 0};
    int got = sf_wait(&waiting, true, SF_FOREVER);
    if (got) {
        if (got != SF_RAISED)
            sf_error(got, "cannot receive the workers' results");
        return -1;
    }
    return run->map->failure ? 0 : reap_all(run);
}

int sf_map_by_counter(struct sf_map *map)
{
    struct run run = {.map = map,
                      .board_bytes = sizeof *run.board + (size_t)map->workers * sizeof run.board->claims[0]};
    void *board = NULL;
    int failed = -1, error = sf_ring_new(&run.ring, SF_STREAM_RING_BYTES);
    if (!error)
        error = sf_shm_map(&board, run.board_bytes);
    run.board = board;
    run.workers = PyMem_Calloc((size_t)map->workers, sizeof *run.workers);
    if (!error && !run.workers)
        error = -ENOMEM;
    if (error) {
        sf_error(error, "cannot map the memory for map");
    } else {
        for (Py_ssize_t i = 0; i < map->workers; i++)
            atomic_init(&run.board->claims[i], NO_CLAIM);
        failed = run_all(&run);
    }
    for (Py_ssize_t i = 0; run.workers && i < map->workers; i++) {
        sf_task_fini(&run.workers[i].task);
        sf_arrival_clear(&run.workers[i].arrival);
    }
    PyMem_Free(run.workers);
    sf_shm_unmap(run.board, run.board_bytes);
    sf_ring_free(run.ring);
    return failed;
}
