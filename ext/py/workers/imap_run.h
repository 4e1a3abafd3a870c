/* The run of an imap: what its iterator does.
 *
 *     source.h --chunks--> feed.h --> workers (engine.h) --results--> window.h --> next()
 *
 *     NEW --(first next)--> RUNNING --(an exception from elsewhere: Ctrl-C, a handler's, no memory)--> STOPPED
 *      |                       |                                                                          |
 *      |                       +--(all handed out; a failure of f, args or a worker)--+                   |
 *      |                                                                              v                   |
 *      +--(close; collected: from each of these)-----------------------------------> ENDED <--(nothing left)
 *
 * STOPPED: there are no workers any more, and the source is closed; next() hands out what had come before, without
 * waiting. ENDED: nothing is left.
 *
 * Within next(), `busy` is set: a next() from another thread, or from below (a signal handler, the unpickling of a
 * result), is refused; a close() kills the workers, and that next() does the rest when it comes back. All of it runs
 * under the interpreter lock. Only the process that started the workers may iterate; a copy made by fork is ended
 * without touching them. */
#ifndef SF_PY_WORKERS_IMAP_RUN_H
#define SF_PY_WORKERS_IMAP_RUN_H

#include "py/workers/engine.h"
#include "py/workers/feed.h"
#include "py/workers/source.h"
#include "py/workers/window.h"

enum sf_imap_state { SF_IMAP_ENDED, SF_IMAP_NEW, SF_IMAP_RUNNING, SF_IMAP_STOPPED };

struct sf_imap {
    struct sf_engine engine; /* f is owned */
    struct sf_feed feed;
    struct sf_window window;
    struct sf_source *source; /* NULL once it is STOPPED or ENDED */
    PyObject *error;          /* what comes after the results instead of an argument that could not be sent; owned */
    Py_ssize_t chunksize;     /* arguments in a chunk */
    Py_ssize_t workers;       /* at most */
    uint64_t chunks;          /* handed to the workers so far */
    uint32_t task;            /* its number in a trace; 0: it has none yet */
    enum sf_imap_state state;
    bool at_once; /* all workers are forked by the first next() */
    bool busy, closing;
};

/* All else is zero: ENDED. Steals source; the rest is checked. */
void sf_imap_init(struct sf_imap *imap, PyObject *f, struct sf_source *source, Py_ssize_t workers, Py_ssize_t chunksize,
                  bool is_ordered);

/* The next result, or NULL: with an exception, or at the end. Blocks. */
PyObject *sf_imap_next(struct sf_imap *imap);

/* Ends it, or lets the next() that runs do so. Does nothing in a worker: it was forked within a next(), and never comes
 * back there. */
void sf_imap_close(struct sf_imap *imap);

/* Ends the workers and drops what they have sent. Leaves the exception state alone. Not while next() runs. */
void sf_imap_end(struct sf_imap *imap);

/* For the garbage collector. */
int sf_imap_traverse(const struct sf_imap *imap, visitproc visit, void *arg);
void sf_imap_clear(struct sf_imap *imap);

#endif
