/* What a map call has so far: the results that are here, in a list with holes, what was extracted, and the earliest
 * failure. Only the parent writes it.
 *
 * A chunk is whole when all its results are here and, where something is extracted after each chunk, that too: it comes
 * last, as if it were one result more. */
#ifndef SF_PY_WORKERS_RESULTS_H
#define SF_PY_WORKERS_RESULTS_H

#include "py/base/compat.h"

#include <stdbool.h>
#include <stdint.h>

struct sf_results {
    Py_ssize_t count, chunk, chunks; /* arguments, arguments in a chunk, chunks; none is 0 */
    bool extracts;                   /* something is extracted after each chunk */
    PyObject *list;                  /* of the results, with holes where one is missing; owned */
    Py_ssize_t *arrived;             /* by chunk: how many of its results are here, and what was extracted */
    PyObject **extracted;            /* by chunk: until it is taken; owned; NULL without extracts */
    PyObject *failure;               /* exception of the earliest failed chunk so far, owned */
    Py_ssize_t failed_chunk;         /* its number; `chunks` if none has failed, -1: `progress` raised */
    PyObject *progress; /* called with (arguments done, arguments) after each chunk; borrowed; may be NULL */
    Py_ssize_t done;    /* arguments whose results are here */
    Py_ssize_t missing; /* all chunks before this one are whole */
};

/* count, chunk, chunks, extracts and progress are filled in, the rest is zero. 0, or -1 with an exception; then fini
 * too. */
int sf_results_init(struct sf_results *results);
void sf_results_fini(struct sf_results *results);

/* The list, whole, as a new reference; or NULL with the failure raised. */
PyObject *sf_results_finish(struct sf_results *results);

/* The number of the argument after the chunk's last one. */
Py_ssize_t sf_results_chunk_end(const struct sf_results *results, Py_ssize_t chunk);

/* How many results may still come for a chunk if the next is that of argument `number`; 0: that is not the next,
 * because one before it could not be unpickled. */
Py_ssize_t sf_results_room(const struct sf_results *results, uint64_t number);

/* Keeps the results of `count` arguments from `number` on, at most sf_results_room, by references of its own. When
 * their chunk is whole, calls `progress`; what that raises counts as a failure before all chunks, so that nothing is
 * waited for any more. */
void sf_results_keep(struct sf_results *results, Py_ssize_t number, PyObject *const *values, Py_ssize_t count);

/* Keeps what was extracted after a chunk whose results are all here; steals the reference. Calls `progress` likewise.
 */
void sf_results_keep_extracted(struct sf_results *results, Py_ssize_t chunk, PyObject *value);

/* Takes what was extracted after a whole chunk: a new reference. */
PyObject *sf_results_take_extracted(struct sf_results *results, Py_ssize_t chunk);

/* Takes the current exception as a chunk's failure; the earliest chunk's stays. */
void sf_results_fail(struct sf_results *results, Py_ssize_t chunk);

/* Whether the chunk is whole, or only what was extracted is missing. */
bool sf_results_has_chunk(const struct sf_results *results, Py_ssize_t chunk);
bool sf_results_misses_extracted(const struct sf_results *results, Py_ssize_t chunk);

/* Whether nothing is waited for any more of the chunks before `end`: once one has failed, only those before it matter.
 */
bool sf_results_are_finished(struct sf_results *results, Py_ssize_t end);

/* "chunk 3, arguments 30 to 39" into a buffer of 80 bytes. */
void sf_results_describe_chunk(const struct sf_results *results, Py_ssize_t chunk, char *what);

#endif
