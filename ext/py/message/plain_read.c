/* Plain objects: reading their pickles (plain.h). A stack machine, as every reader of pickles: objects are pushed, and
 * those behind the last mark become a container.
 *
 * Invariants: each object on the stack is owned by it. The memo borrows: what is in it is on the stack, or in a
 * container that is, until the end. */
#include "py/message/plain.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "py/message/plain_format.h"

#ifndef SF_HAS_PLAIN

PyObject *sf_plain_read(const char *pickle, uint32_t count)
{
    (void)pickle;
    (void)count;
    PyErr_SetString(PyExc_RuntimeError, "nothing is plain here");
    return NULL;
}

#else

enum { FEW = 64, MOST_MARKS = 2 /* a batch of the container, and in it a tuple */ };

struct objects {
    PyObject **item;
    size_t count, room;
    PyObject *few[FEW];
};

struct reader {
    const unsigned char *at;
    struct objects stack, memo;
    size_t mark[MOST_MARKS]; /* how many were on the stack */
    int marks;
    Py_ssize_t filled; /* items of the list that are there */
};

static int grow(struct objects *objects)
{
    size_t room = objects->room * 2;
    PyObject **old = objects->item == objects->few ? NULL : objects->item;
    PyObject **item = PyMem_Realloc(old, room * sizeof *item);
    if (!item) {
        PyErr_NoMemory();
        return -1;
    }
    if (!old)
        memcpy(item, objects->few, sizeof objects->few);
    objects->item = item;
    objects->room = room;
    return 0;
}

/* Steals the object, which may be NULL: then an exception is set. */
static inline int push(struct reader *reader, PyObject *object)
{
    struct objects *stack = &reader->stack;
    if (!object)
        return -1;
    if (__builtin_expect(stack->count == stack->room, 0) && grow(stack)) {
        Py_DECREF(object);
        return -1;
    }
    stack->item[stack->count++] = object;
    return 0;
}

static inline int memoize(struct reader *reader)
{
    struct objects *memo = &reader->memo;
    if (__builtin_expect(memo->count == memo->room, 0) && grow(memo))
        return -1;
    memo->item[memo->count++] = reader->stack.item[reader->stack.count - 1];
    return 0;
}

static inline __attribute__((always_inline)) uint64_t take(struct reader *reader, size_t bytes)
{
    uint64_t number = 0;
    memcpy(&number, reader->at, bytes);
    reader->at += bytes;
    return number;
}

static inline PyObject *read_long(struct reader *reader)
{
    size_t bytes = take(reader, 1);
    assert(1 <= bytes && bytes <= sizeof(int64_t));
    unsigned unused = (unsigned)(sizeof(int64_t) - bytes) * 8;
    return PyLong_FromLongLong((int64_t)(take(reader, bytes) << unused) >> unused);
}

static inline double float_at(const unsigned char *at)
{
    uint64_t word;
    double value;
    memcpy(&word, at, sizeof word);
    word = __builtin_bswap64(word);
    memcpy(&value, &word, sizeof value);
    return value;
}

static inline PyObject *read_float(struct reader *reader)
{
    double value = float_at(reader->at);
    reader->at += sizeof value;
    return PyFloat_FromDouble(value);
}

static inline PyObject *read_text(struct reader *reader, size_t length)
{
    const unsigned char *letters = reader->at;
    reader->at += length;
    if (length == 1)
        return PyUnicode_FromOrdinal(*letters); /* Python has one object for each */
    PyObject *text = PyUnicode_New((Py_ssize_t)length, 127);
    if (text && length) /* the empty str is shared, and must not be written to */
        copy_letters(PyUnicode_DATA(text), (const char *)letters, length);
    return text;
}

/* Takes the last `count` objects off the stack, as a tuple. */
static PyObject *pop_tuple(struct reader *reader, size_t count)
{
    assert(count <= reader->stack.count);
    PyObject *tuple = PyTuple_New((Py_ssize_t)count);
    if (!tuple)
        return NULL;
    reader->stack.count -= count;
    for (size_t i = 0; i < count; i++)
        PyTuple_SET_ITEM(tuple, (Py_ssize_t)i, reader->stack.item[reader->stack.count + i]);
    return tuple;
}

static inline size_t pop_mark(struct reader *reader)
{
    assert(reader->marks > 0);
    return reader->mark[--reader->marks];
}

/* Moves what is on the stack from `from` on into the list below, which was made with room for all. */
static void append(struct reader *reader, size_t from)
{
    assert(reader->stack.count > 0);
    PyObject *list = reader->stack.item[0];
    for (size_t i = from; i < reader->stack.count; i++)
        PyList_SET_ITEM(list, reader->filled++, reader->stack.item[i]);
    reader->stack.count = from;
}

static int set_items(struct reader *reader, size_t from)
{
    assert(reader->stack.count > 0);
    PyObject *dict = reader->stack.item[0];
    int failed = 0;
    assert((reader->stack.count - from) % 2 == 0);
    while (!failed && from + 1 < reader->stack.count) {
        PyObject **pair = &reader->stack.item[from];
        failed = PyDict_SetItem(dict, pair[0], pair[1]);
        from += 2;
    }
    return failed;
}

static void drop(struct reader *reader, size_t from)
{
    while (reader->stack.count > from)
        Py_DECREF(reader->stack.item[--reader->stack.count]);
}

/* Reads a short str and the MEMOIZE that follows it. */
static inline int push_short_text(struct reader *reader, uint32_t count)
{
    int failed = push(reader, read_text(reader, take(reader, 1)));
    if (failed || *reader->at != MEMOIZE)
        return failed;
    reader->at++;
    return count & SF_PLAIN_SHARED ? memoize(reader) : 0;
}

/* Carries out one opcode. 0, or -1 with MemoryError. */
static inline __attribute__((always_inline)) int step(struct reader *reader, enum opcode opcode, uint32_t count)
{
    size_t from;
    int failed;
    switch (opcode) {
    case PROTO:
        reader->at++;
        return 0;
    case FRAME:
        reader->at += sizeof(uint64_t);
        return 0;
    case BININT1:
        return push(reader, PyLong_FromLong((long)take(reader, 1)));
    case BININT2:
        return push(reader, PyLong_FromLong((long)take(reader, 2)));
    case BININT:
        return push(reader, PyLong_FromLong((int32_t)take(reader, 4)));
    case LONG1:
        return push(reader, read_long(reader));
    case BINFLOAT:
        return push(reader, read_float(reader));
    case SHORT_BINUNICODE:
        return push_short_text(reader, count);
    case BINUNICODE:
        return push(reader, read_text(reader, take(reader, 4)));
    case NONE:
        return push(reader, Py_NewRef(Py_None));
    case NEWTRUE:
        return push(reader, Py_NewRef(Py_True));
    case NEWFALSE:
        return push(reader, Py_NewRef(Py_False));
    case MEMOIZE:
        return count & SF_PLAIN_SHARED ? memoize(reader) : 0;
    case BINGET:
        return push(reader, Py_NewRef(reader->memo.item[take(reader, 1)]));
    case LONG_BINGET:
        return push(reader, Py_NewRef(reader->memo.item[take(reader, 4)]));
    case EMPTY_TUPLE:
        return push(reader, PyTuple_New(0));
    case TUPLE1:
    case TUPLE2:
    case TUPLE3:
        return push(reader, pop_tuple(reader, opcode - TUPLE1 + 1));
    case TUPLE:
        from = pop_mark(reader);
        return push(reader, pop_tuple(reader, reader->stack.count - from));
    case MARK:
        assert(reader->marks < MOST_MARKS);
        reader->mark[reader->marks++] = reader->stack.count;
        return 0;
    case EMPTY_LIST:
        return push(reader, PyList_New((Py_ssize_t)(count & SF_PLAIN_ITEMS)));
    case APPEND:
    case APPENDS:
        append(reader, opcode == APPEND ? 1 : pop_mark(reader));
        return 0;
    case EMPTY_DICT:
        return push(reader, PyDict_New());
    case SETITEM:
    case SETITEMS:
        from = opcode == SETITEM ? 1 : pop_mark(reader);
        failed = set_items(reader, from);
        drop(reader, from);
        return failed;
    case STOP:
        break;
    }
    assert(opcode == STOP);
    return 0;
}

/* Reads a number, None, a bool or a short str: if that is all of the pickle, it needs no stack. NULL without an
 * exception: the pickle begins with something else. */
static inline PyObject *read_single(struct reader *reader)
{
    switch (*reader->at++) {
    case NONE:
        return Py_NewRef(Py_None);
    case NEWTRUE:
        return Py_NewRef(Py_True);
    case NEWFALSE:
        return Py_NewRef(Py_False);
    case BININT1:
        return PyLong_FromLong((long)take(reader, 1));
    case BININT2:
        return PyLong_FromLong((long)take(reader, 2));
    case BININT:
        return PyLong_FromLong((int32_t)take(reader, 4));
    case BINFLOAT:
        return read_float(reader);
    case SHORT_BINUNICODE:
        return read_text(reader, take(reader, 1));
    default:
        reader->at--;
        return NULL;
    }
}

static inline bool ends_here(const struct reader *reader)
{
    return reader->at[*reader->at == MEMOIZE] == STOP;
}

/* A list of nothing but numbers needs no stack. */
static PyObject *read_numbers(const unsigned char *from, Py_ssize_t count)
{
    PyObject *list = PyList_New(count), *number;
    struct reader reader; /* only its position is used */
    reader.at = from;
    for (Py_ssize_t i = 0; list && i < count;) {
        enum opcode opcode = (enum opcode) * reader.at++;
        if (opcode == BINFLOAT) {
            number = read_float(&reader);
        } else if (opcode == BININT1) {
            number = PyLong_FromLong(*reader.at++);
        } else if (opcode == BININT2) {
            number = PyLong_FromLong(reader.at[0] | reader.at[1] << 8);
            reader.at += 2;
        } else if (opcode == BININT) {
            number = PyLong_FromLong((int32_t)take(&reader, 4));
        } else if (opcode == LONG1) {
            number = read_long(&reader);
        } else { /* what begins and ends the list and its batches */
            reader.at += opcode == FRAME ? sizeof(uint64_t) : 0;
            continue;
        }
        if (number)
            PyList_SET_ITEM(list, i++, number);
        else
            Py_CLEAR(list);
    }
    return list;
}

PyObject *sf_plain_read(const char *pickle, uint32_t count)
{
    struct reader reader;
    reader.at = (const unsigned char *)pickle + 2; /* PROTO */
    if (*reader.at == FRAME)
        reader.at += 1 + sizeof(uint64_t);
    if (count & SF_PLAIN_NUMBERS)
        return read_numbers(reader.at, (Py_ssize_t)(count & SF_PLAIN_ITEMS));
    PyObject *first = read_single(&reader);
    if ((first && ends_here(&reader)) || (!first && PyErr_Occurred()))
        return first;
    reader.stack.item = reader.stack.few;
    reader.memo.item = reader.memo.few;
    reader.stack.room = reader.memo.room = FEW;
    reader.stack.count = reader.memo.count = 0;
    if (first) /* of a tuple */
        reader.stack.item[reader.stack.count++] = first;
    reader.marks = 0;
    reader.filled = 0;
    int failed = 0;
    while (!failed && *reader.at != STOP) {
        enum opcode opcode = (enum opcode) * reader.at++;
        failed = step(&reader, opcode, count);
    }
    assert(failed || reader.stack.count == 1);
    PyObject *object = failed ? NULL : reader.stack.item[0];
    if (failed)
        drop(&reader, 0);
    if (reader.stack.item != reader.stack.few)
        PyMem_Free(reader.stack.item);
    if (reader.memo.item != reader.memo.few)
        PyMem_Free(reader.memo.item);
    return object;
}

#endif
