/* What a map call has so far: the results that are here, in a list with holes, and the earliest failure. Only the
 * parent writes it. It knows arguments by their numbers, and nothing of chunks. */
#ifndef SF_PY_WORKERS_RESULTS_H
#define SF_PY_WORKERS_RESULTS_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

struct sf_results {
    Py_ssize_t count;   /* of the arguments; not 0 */
    PyObject *list;     /* of the results, with holes where one is missing; owned */
    uint64_t *here;     /* a bit for each argument: its result is here */
    Py_ssize_t done;    /* arguments that are done, as `progress` is told: the job counts them */
    Py_ssize_t missing; /* all before this one are here */
    PyObject *failure;  /* exception of the earliest failed argument so far; owned */
    Py_ssize_t failed;  /* that argument; `count` if none has failed, -1: `progress` raised */
    PyObject *progress; /* called with (arguments done, arguments); borrowed; may be NULL */
    int64_t told_ns;    /* when it was last called, or the first result came; 0 before that */
};

/* count and progress are filled in, the rest is zero. 0, or -1 with an exception; then fini too. */
int sf_results_init(struct sf_results *results);
void sf_results_fini(struct sf_results *results);

/* The list, whole, as a new reference; or NULL with the failure raised. */
PyObject *sf_results_finish(struct sf_results *results);

/* How many results may still come from argument `number` on, one after the other; 0: it is here already, or one before
 * it has failed, so that it does not matter. */
Py_ssize_t sf_results_room(const struct sf_results *results, uint64_t number);

/* Keeps the results of `count` arguments from `number` on, at most sf_results_room, by references of its own. */
void sf_results_keep(struct sf_results *results, Py_ssize_t number, PyObject *const *values, Py_ssize_t count);

/* Calls `progress`. What that raises counts as a failure before all arguments, so that nothing is waited for any more;
 * then it is not called again. Runs code of the program. */
void sf_results_tell(struct sf_results *results);

/* Takes the current exception as an argument's failure; the earliest argument's stays. */
void sf_results_fail(struct sf_results *results, Py_ssize_t number);

/* The first argument in [from, end) whose result is missing; `end` if all are here. */
Py_ssize_t sf_results_first_missing(const struct sf_results *results, Py_ssize_t from, Py_ssize_t end);

/* Whether nothing is waited for any more of the arguments before `end`: once one has failed, only those before it
 * matter. */
bool sf_results_are_finished(struct sf_results *results, Py_ssize_t end);

#endif
