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

/* A place in a circular list; zeros: in none. */
struct sf_kept_link {
    struct sf_kept_link *next, *previous;
    bool kept; /* with a reference */
};

void sf_kept_init(void); /* to be called once, before the others */

/* After a start. keep: with a reference. Also for an object that is known: then it is kept from now on. */
void sf_kept_add(PyObject *self, bool keep);

/* The child has ended: drops the reference, where there is one. */
void sf_kept_let_go(PyObject *self);

/* The object is about to be freed. */
void sf_kept_forget(PyObject *self);

/* Lets some of those go whose child has ended: so many at each call that no zombies pile up where each start makes one
 * call. */
void sf_kept_sweep(void);

#endif
