/* Results of a block. See block.h. */
#include "py/workers/block.h"

#include "core/result/stream.h"
#include "py/message/integers.h"

#define FIRST_ROOM 256
#define MOST_PACKED (SF_STREAM_PIECE_BYTES / 2 / sizeof(int64_t)) /* an INTEGERS message is one piece */

void sf_block_clear(struct sf_block *block)
{
    block->count = 0;
    Py_CLEAR(block->list);
}

void sf_block_forget(struct sf_block *block)
{
    block->count = 0;
    block->list = NULL;
}

static int grow(struct sf_block *block)
{
    Py_ssize_t room = block->room ? 2 * block->room : FIRST_ROOM;
    int64_t *integers = PyMem_Realloc(block->integers, (size_t)room * sizeof *integers);
    if (!integers) {
        PyErr_NoMemory();
        return -1;
    }
    block->integers = integers;
    block->room = room;
    return 0;
}

PyObject *sf_block_list(struct sf_block *block)
{
    if (block->list)
        return block->list;
    PyObject *list = PyList_New(block->count);
    for (Py_ssize_t i = 0; list && i < block->count; i++) {
        PyObject *number = PyLong_FromLongLong(block->integers[i]);
        if (number)
            PyList_SET_ITEM(list, i, number);
        else
            Py_CLEAR(list);
    }
    return block->list = list;
}

int sf_block_add(struct sf_block *block, PyObject *value)
{
    int64_t integer;
    int failed = 0;
    if (!block->list && sf_integers_get(value, &integer)) {
        if (block->count == block->room)
            failed = grow(block);
        if (!failed)
            block->integers[block->count++] = integer;
    } else {
        failed = sf_block_list(block) ? PyList_Append(block->list, value) : -1;
    }
    Py_DECREF(value);
    return failed;
}

Py_ssize_t sf_block_count(const struct sf_block *block)
{
    return block->list ? PyList_GET_SIZE(block->list) : block->count;
}

bool sf_block_pack(const struct sf_block *block, struct sf_message *message)
{
    if (block->list || block->count < 2 || (size_t)block->count > MOST_PACKED)
        return false;
    sf_message_pack_integers(message, block->integers, (size_t)block->count);
    return true;
}
