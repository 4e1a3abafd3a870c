/* The results of a block, in a worker, until they are sent: ints in an array (integers.h) as long as all are ints, else
 * a list of any objects. */
#ifndef SF_PY_WORKERS_BLOCK_H
#define SF_PY_WORKERS_BLOCK_H

#include "py/base/compat.h"

#include <stdint.h>

#include "py/message/message.h"

struct sf_block {   /* all zero: empty, without memory */
    PyObject *list; /* owned; NULL: all are in the array */
    int64_t *integers;
    Py_ssize_t count, room; /* of the array */
};

/* Empties it. Its memory is used again. */
void sf_block_clear(struct sf_block *block);

/* Empties one that the process was forked with: its objects are the parent's. */
void sf_block_forget(struct sf_block *block);

/* Steals the value. 0, or -1 with MemoryError, and the block is as it was. */
int sf_block_add(struct sf_block *block, PyObject *value);

Py_ssize_t sf_block_count(const struct sf_block *block);

/* Packs a block of ints, of two or more and not too many: true. Else false: it is to be packed as a list. The message
 * points into the block.
 */
bool sf_block_pack(const struct sf_block *block, struct sf_message *message);

/* The block as a list, which it keeps: borrowed, or NULL with MemoryError. */
PyObject *sf_block_list(struct sf_block *block);

#endif
