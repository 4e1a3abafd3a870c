/* Threads and Generators that were started, as the library itself knows them.
 *
 *                start of a Thread             its child has died
 *     unknown -----------------------> kept -----------------------> known ---> unknown
 *        |                                                             ^     it is freed
 *        +-------------------------------------------------------------+
 *                start of a Generator
 *
 * `kept` holds a reference: a started Thread lives until its process has ended, whoever refers to it. The reference is
 * dropped by join() and dispose(), or by a sweep that finds the process dead. If nobody else has one, the object is
 * freed then: that reaps the process, and prints what it raised. A Generator that nobody can read is of no use, so it
 * is only known.
 *
 * At the end of the process all that is known is told what nobody has asked for (fate.h), once all children are reaped.
 *
 * A process that is forked inherits both lists. It keeps none of these for longer than its own next sweep, and neither
 * waits for them nor ends them.
 *
 * All of it is guarded by the interpreter lock. Nothing here blocks. What drops a reference may run code of the
 * program: the caller holds a reference to its own object, and looks at it again afterwards. */
#ifndef SF_PY_TASK_KEPT_H
#define SF_PY_TASK_KEPT_H

#include "py/base/compat.h"

#include <stdbool.h>

struct sf_task;

/* The place of an object in one of the lists, which are circular; zeros: in none. It is part of the object. */
struct sf_kept_link {
    struct sf_kept_link *next, *previous;
    PyObject *self; /* the object; owned if kept */
    struct sf_task *task;
    bool kept;
};

void sf_kept_init(void); /* to be called once, before the others */

/* After a start. keep: with a reference. Also for an object that is known: then it is kept from now on. */
void sf_kept_add(struct sf_kept_link *link, PyObject *self, struct sf_task *task, bool keep);

/* The child has ended: drops the reference, where there is one. */
void sf_kept_let_go(struct sf_kept_link *link);

/* The object is about to be freed. */
void sf_kept_forget(struct sf_kept_link *link);

/* Lets some of those go whose child has ended: so many at each call that no zombies pile up where each start makes one
 * call. */
void sf_kept_sweep(void);
PyObject *sf_kept_sweep_function(PyObject *module, PyObject *unused); /* the same, a METH_NOARGS function */

/* A start has raised. If the reason may be that processes or descriptors are used up, and Threads that have ended are
 * still there, as garbage in cycles perhaps (on PyPy all garbage waits for the collector): collects garbage. Whether
 * that freed one: then the exception is cleared, and the start can be tried again. */
bool sf_kept_make_room(void);

#endif
