/* The arguments of imap: an iterable that may block, cut into chunks without ever holding up the caller.
 *
 * An iterable that cannot block (a list, a range, ...) is asked in place. Any other one is asked by a Python thread of
 * its own, so that results can be handed out while it blocks; a list of work that is fed by its own results then works.
 *
 *     caller: want(n) --------> thread: next() of the iterator, until n chunks are ready, or its end
 *     caller: take() <--ready-- thread: adds a chunk, nudges the ring at which the caller waits
 *
 * All fields are guarded by the interpreter lock. Between two chunks the thread sleeps here, with no lock held and
 * no reference to anything: so a program may fork then, and the garbage collector can find a cycle through the
 * iterator. imap forks its workers only then. If the program forks while the iterator's own code runs, the locks which
 * that code holds stay locked in the child, as with any thread; no warning says so.
 *
 * The thread ends when the iterator is at its end, or when the source is closed and the iterator returns. If
 * the iterator blocks for ever, the thread stays until the program ends; it does not delay that. */
#ifndef SF_PY_WORKERS_SOURCE_H
#define SF_PY_WORKERS_SOURCE_H

#include "py/base/compat.h"

#include "core/ring/ring.h"

struct sf_source;

/* NULL with TypeError, or with what iter() raised. chunk: arguments in one. */
struct sf_source *sf_source_new(PyObject *iterable, Py_ssize_t chunk);

/* Says that the iterable cannot block, where its type does not: it is asked in place. Before all that follows. */
void sf_source_ask_in_place(struct sf_source *source);

/* The ring that is to be nudged from now on. It has to live until sf_source_close. */
void sf_source_connect(struct sf_source *source, struct sf_ring *ring);

/* Allows the thread to have so many chunks ready ahead of sf_source_take. Does not block. 0, or -1 with an exception:
 * no thread can be started. */
int sf_source_want(struct sf_source *source, Py_ssize_t chunks);

/* Waits until the chunks that are wanted are ready, for at most 20 ms; less for a source that has often taken longer.
 * Gives up the interpreter lock meanwhile. */
void sf_source_settle(struct sf_source *source);

/* The next chunk, a list that is not empty; NULL without an exception: there is none now, or never again. Does not
 * block. An iterable that cannot block is asked here, whatever is wanted. */
PyObject *sf_source_take(struct sf_source *source);

/* Whether all chunks have been taken. */
bool sf_source_is_at_end(const struct sf_source *source);

/* What the iterator raised instead of an argument, a new reference, once the source is at its end; or NULL. */
PyObject *sf_source_error(const struct sf_source *source);

/* Nothing more is wanted: drops the iterator and what is ready. */
void sf_source_close(struct sf_source *source);

/* Closes it; the caller must not use it any more. NULL is allowed. */
void sf_source_free(struct sf_source *source);

int sf_source_traverse(struct sf_source *source, visitproc visit, void *arg);

#endif
