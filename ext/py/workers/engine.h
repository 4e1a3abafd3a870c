/* The worker engine: forked processes that compute f over arguments, chunk by chunk, and send the results home. Written
 * once for map, starmap, imap and imap_unordered; each of them is a struct sf_job.
 *
 *     parent (engine.c, receive.c)                                 worker (worker.c)
 *
 *     where chunks come from, the job's own:
 *       guided arguments inherited by the fork, a shared counter  --> next_chunk       (map)
 *       imap   chunks pushed into a feed ring (feed.h)            --> next_chunk --+
 *       merge  one chunk for each process (merge.c), map too                       | f, argument by argument
 *                                                                                  |
 *     keep, fail  <-- opened  <-- arrival of each worker  <-- results ring <-- blocks of results, or what f raised
 *     extracted   <-- opened  <--                         <--              <-- merge only: what `extract` returned
 *     ended       <-- the only search for dead workers    <-- claims: the argument that each worker is at
 *
 * Messages in the results ring are streams of pieces (core/result/stream.h): `source` is the worker, `number` the
 * argument whose result comes first, `tag` an outcome and the bits below. The results of one chunk come from one worker
 * in the order of the arguments. receive.c opens them. Large arrays go ahead of the message that they are in
 * (py/message/offer.h).
 *
 * A worker as its parent sees it:
 *
 *     (no struct) --sf_engine_start--> RUNNING --(died; all that it sent was taken)--> gone, job->ended was called
 *                          |              +------(sf_engine_end_worker, sf_engine_stop: killed)------> gone
 *                          |              +------(sf_engine_fini: killed)------------> freed
 *                          +--(the fork failed)--------------------------------------> gone, it never ran
 *
 * A job that keeps going (Executor) starts others in the places of those that are gone, whose structs are freed.
 *
 * The claims are in shared memory. A worker notes the argument it is at, and SF_ENGINE_NO_CLAIM between chunks; the
 * parent reads the claim of a worker only once that has died. A worker may die after it has taken a chunk and before it
 * notes that: then the chunk stays missing, and the job has to find that out in `ended`. A worker that ends by itself
 * notes that too, because it owes nothing then: it has sent a result or an exception for each chunk that it took.
 *
 * The engine owns its workers, the ring and the claims; the job owns what it keeps. A worker process has copies of all
 * of it and never frees them. Everything here runs under the interpreter lock. Functions that wait for workers, to send
 * something or to die, release it meanwhile: sf_engine_wait, sf_engine_reap, sf_engine_end_worker, sf_engine_stop,
 * sf_engine_fini.
 *
 * Code of the program runs at many places: f, pickling, `progress`, signal handlers, hooks of a fork, destructors. It
 * may call os.fork, and come back in both processes. One rule keeps the copy from what the others share: after such
 * code, and before anything is taken, sent, forked or stopped, the process is looked at. The parent is the one that
 * made the engine (sf_engine_is_ours); in a copy of it the call raises RuntimeError. A worker is the one that was
 * forked as it (sf_child_is_self); a copy of it ends as a program does. */
#ifndef SF_PY_WORKERS_ENGINE_H
#define SF_PY_WORKERS_ENGINE_H

#include "py/workers/engine_struct.h"

/* ---- in the parent ---- */

/* Makes an engine without workers. f, star, together, timeout_ns and blas_threads were filled in by the caller, all
 * else is zero, or was given back by sf_engine_fini. most: how many workers there may ever be, or at a time where the
 * job keeps going. 0, or -1 with an exception; sf_engine_fini in any case. */
int sf_engine_init(struct sf_engine *engine, const struct sf_job *job, Py_ssize_t most);

/* Whether a worker more may be started. */
bool sf_engine_has_place(const struct sf_engine *engine);

/* Forks one more worker; the caller knows that a place is free. 0, or -1 with an exception. */
int sf_engine_start(struct sf_engine *engine);

/* Takes what comes, feeds and looks for the dead until job->is_finished. 0, or -1 with an exception. */
int sf_engine_wait(struct sf_engine *engine);

/* The same, but for no longer than until then, on the clock of core/os/monotonic.h. */
int sf_engine_wait_until(struct sf_engine *engine, int64_t deadline_ns);

/* Whether a worker ends by itself, and has sent what became of each chunk that it took. Of one that has died it is
 * certain. */
bool sf_engine_has_finished(const struct sf_worker *worker);

/* Looks for dead workers if that has not been done for a while. 0, or -1 with an exception. */
int sf_engine_look(struct sf_engine *engine);

/* Raises what is known of the end of a worker: its own last exception, or ChildDied "<name> (pid n) <fate><where>".
 * claim: as of job->ended; if it is an argument, " at argument n" is said too. TimeoutError where the worker was killed
 * because an argument took too long. */
void sf_engine_raise_death(struct sf_worker *worker, uint64_t claim, const char *where);

/* Waits until all workers have ended by themselves. 0, or -1 with an exception. */
int sf_engine_reap(struct sf_engine *engine);

/* Kills a worker whose results do not matter any more, and reaps it. */
void sf_engine_end_worker(struct sf_engine *engine, struct sf_worker *worker);

/* Kills all workers and reaps them. What they have sent can still be taken. Leaves the exception state alone. */
void sf_engine_stop(struct sf_engine *engine);

/* Takes what was sent until job->is_finished, or until there is no more. Waits for nothing but the ring's lock, where a
 * stopped process keeps that. 0, or -1 with an exception. */
int sf_engine_take_sent(struct sf_engine *engine);

/* Kills what still runs. Does not wait for it, and gives nothing back. */
void sf_engine_kill(struct sf_engine *engine);

/* Kills what still runs, reaps it, and gives everything back. In a process that did not start the workers it gives this
 * process's copies back. Leaves the exception state alone. */
void sf_engine_fini(struct sf_engine *engine);

/* For the garbage collector. */
int sf_engine_traverse(const struct sf_engine *engine, visitproc visit, void *arg);

/* ---- in the worker (worker.c) ---- */

/* Works through chunks until there are no more: the task's `run`. */
PyObject *sf_worker_run(struct sf_task *task);

/* Sends one value, or what was raised instead (value NULL), as the result of an argument, or as `extracted`. *tag: what
 * it went as. 0, or -1 with an exception that ends the worker: SystemExit is one. */
int sf_worker_send(struct sf_worker *worker, uint64_t number, bool extracted, PyObject *value, enum sf_tag *tag);

#endif
