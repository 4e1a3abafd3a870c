/* Plain objects: writing their pickles. See plain.h for what is plain; plain_read.c reads. A writer that finds an object
 * that is not plain returns NOT_PLAIN, and what was written is dropped.
 *
 * Pickle's memo has a number for each str, tuple, list and dict, whether it is met again or not. Only those that may be
 * met again are looked up: an object with one reference has it from the container that is being written. */
#include "py/message/plain.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "py/message/plain_format.h"

#ifndef SF_HAS_PLAIN

int sf_plain_write(struct sf_plain *plain, PyObject *object)
{
    (void)object;
    plain->data = plain->first;
    plain->table = NULL;
    return 0;
}

void sf_plain_fini(struct sf_plain *plain)
{
    (void)plain;
}

#else

#define MOST_BYTES ((size_t)1 << 20) /* of a container; larger ones are left to pickle */
#define BATCH 1000                   /* pickle adds so many items to a container at a time */
#define FRAME_BYTES ((size_t)64 << 10) /* pickle ends a frame that has so many bytes */
#define FRAME_LEAST 4                  /* and writes no header for one with fewer than these */
#define FRAME_HEADER_BYTES 9
#define TABLE_FIRST 64

enum { NOT_PLAIN = 0, WRITTEN = 1, NO_MEMORY = -1 };

/* ---- bytes ---- */

static int grow(struct sf_plain *plain, size_t bytes)
{
    size_t room = plain->room * 2 > plain->bytes + bytes ? plain->room * 2 : plain->bytes + bytes;
    char *old = plain->data == plain->first ? NULL : plain->data;
    char *data = PyMem_Realloc(old, room);
    if (!data) {
        PyErr_NoMemory();
        return NO_MEMORY;
    }
    if (!old)
        memcpy(data, plain->first, plain->bytes);
    plain->data = data;
    plain->room = room;
    return WRITTEN;
}

static inline char *extend(struct sf_plain *plain, size_t bytes)
{
    if (__builtin_expect(plain->bytes + bytes > plain->room, 0) && grow(plain, bytes) != WRITTEN)
        return NULL;
    char *at = plain->data + plain->bytes;
    plain->bytes += bytes;
    return at;
}

static inline int write_opcode(struct sf_plain *plain, enum opcode opcode)
{
    char *at = extend(plain, 1);
    if (!at)
        return NO_MEMORY;
    *at = (char)opcode;
    return WRITTEN;
}

/* An opcode and its argument, in the byte order of pickles. */
static inline int write_with(struct sf_plain *plain, enum opcode opcode, const void *argument, size_t bytes)
{
    char *at = extend(plain, 1 + bytes);
    if (!at)
        return NO_MEMORY;
    *at = (char)opcode;
    memcpy(at + 1, argument, bytes);
    return WRITTEN;
}

/* ---- frames ---- */

static int begin_frame(struct sf_plain *plain)
{
    plain->frame = plain->bytes;
    return extend(plain, FRAME_HEADER_BYTES) ? WRITTEN : NO_MEMORY;
}

static void end_frame(struct sf_plain *plain)
{
    char *header = plain->data + plain->frame;
    uint64_t length = plain->bytes - plain->frame - FRAME_HEADER_BYTES;
    if (length >= FRAME_LEAST) {
        *header = (char)FRAME;
        memcpy(header + 1, &length, sizeof length);
    } else {
        memmove(header, header + FRAME_HEADER_BYTES, length);
        plain->bytes -= FRAME_HEADER_BYTES;
    }
}

/* Pickle calls it before each object. */
static inline int at_boundary(struct sf_plain *plain)
{
    if (__builtin_expect(plain->bytes - plain->frame < FRAME_BYTES + FRAME_HEADER_BYTES, 1))
        return WRITTEN;
    if (plain->bytes > MOST_BYTES)
        return NOT_PLAIN;
    end_frame(plain);
    return begin_frame(plain);
}

/* ---- objects met before ---- */

static inline uint32_t hash_of(const PyObject *object)
{
    return (uint32_t)(((uintptr_t)object >> 4) * UINT64_C(0x9E3779B97F4A7C15) >> 32);
}

/* The place of the object in the table, or the free place where it would be. */
static struct sf_plain_seen *place_in_table(const struct sf_plain *plain, const PyObject *object)
{
    uint32_t at = hash_of(object) & plain->table_mask;
    while (plain->table[at].object && plain->table[at].object != object)
        at = (at + 1) & plain->table_mask;
    return &plain->table[at];
}

/* Moves all to a new table of so many places. */
static int make_table(struct sf_plain *plain, uint32_t places)
{
    struct sf_plain_seen *old = plain->table ? plain->table : plain->few_seen;
    uint32_t old_places = plain->table ? plain->table_mask + 1 : plain->few;
    struct sf_plain_seen *table = PyMem_Calloc(places, sizeof *table);
    if (!table) {
        PyErr_NoMemory();
        return NO_MEMORY;
    }
    struct sf_plain_seen *former = plain->table;
    plain->table = table;
    plain->table_mask = places - 1;
    for (uint32_t i = 0; i < old_places; i++)
        if (old[i].object)
            *place_in_table(plain, old[i].object) = old[i];
    if (!former)
        plain->table_used = plain->few;
    PyMem_Free(former);
    return WRITTEN;
}

static inline bool may_come_again(PyObject *object)
{
    return Py_REFCNT(object) > 1;
}

static const struct sf_plain_seen *find_seen(const struct sf_plain *plain, const PyObject *object)
{
    if (plain->table) {
        const struct sf_plain_seen *place = place_in_table(plain, object);
        return place->object ? place : NULL;
    }
    for (uint32_t i = 0; i < plain->few; i++)
        if (plain->few_seen[i].object == object)
            return &plain->few_seen[i];
    return NULL;
}

static int write_get(struct sf_plain *plain, uint32_t number)
{
    unsigned char small = (unsigned char)number;
    return number < 256 ? write_with(plain, BINGET, &small, 1) : write_with(plain, LONG_BINGET, &number, 4);
}

static int keep_seen(struct sf_plain *plain, PyObject *object)
{
    struct sf_plain_seen seen = {object, plain->memoized};
    if (!plain->table && plain->few < SF_PLAIN_FEW_SEEN) {
        plain->few_seen[plain->few++] = seen;
        return WRITTEN;
    }
    if (!plain->table || plain->table_used > plain->table_mask / 2) {
        int made = make_table(plain, plain->table ? (plain->table_mask + 1) * 4 : TABLE_FIRST);
        if (made < 0)
            return made;
    }
    *place_in_table(plain, object) = seen;
    plain->table_used++;
    return WRITTEN;
}

/* The object has been written and gets its number. */
static inline int memoize(struct sf_plain *plain, PyObject *object)
{
    if (may_come_again(object) && keep_seen(plain, object) < 0)
        return NO_MEMORY;
    plain->memoized++;
    return write_opcode(plain, MEMOIZE);
}

/* ---- scalars ---- */

static int write_text(struct sf_plain *plain, PyObject *text)
{
    const struct sf_plain_seen *seen = may_come_again(text) ? find_seen(plain, text) : NULL;
    if (seen)
        return write_get(plain, seen->number);
    size_t length = (size_t)PyUnicode_GET_LENGTH(text), head = length < 256 ? 2 : 5;
    if (length >= FRAME_BYTES || !PyUnicode_IS_COMPACT_ASCII(text))
        return NOT_PLAIN;
    char *at = extend(plain, head + length);
    if (!at)
        return NO_MEMORY;
    uint32_t number = (uint32_t)length;
    *at = (char)(head == 2 ? SHORT_BINUNICODE : BINUNICODE);
    memcpy(at + 1, &number, head - 1);
    memcpy(at + head, PyUnicode_DATA(text), length);
    return memoize(plain, text);
}

/* Inlined, because sending a list of ints is little more than this. */
static inline __attribute__((always_inline)) int write_integer(struct sf_plain *plain, PyObject *object)
{
    int overflow;
    int64_t value = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow)
        return NOT_PLAIN;
    char *at = extend(plain, 10);
    if (!at)
        return NO_MEMORY;
    size_t bytes, head = 1;
    if (value == (int32_t)value) {
        bytes = value == (value & 0xff) ? 1 : value == (value & 0xffff) ? 2 : 4;
        *at = (char)(bytes == 1 ? BININT1 : bytes == 2 ? BININT2 : BININT);
    } else {
        bytes = (size_t)(64 - __builtin_clrsbll(value) + 7) / 8; /* with one bit for the sign */
        *at = (char)LONG1;
        at[1] = (char)bytes;
        head = 2;
    }
    memcpy(at + head, &value, sizeof value);
    plain->bytes -= 10 - head - bytes;
    return WRITTEN;
}

static inline int write_float(struct sf_plain *plain, PyObject *object)
{
    double value = PyFloat_AS_DOUBLE(object);
    uint64_t word;
    memcpy(&word, &value, sizeof word);
    word = __builtin_bswap64(word);
    return write_with(plain, BINFLOAT, &word, sizeof word);
}

static int write_scalar(struct sf_plain *plain, PyObject *object)
{
    int done = at_boundary(plain);
    if (done != WRITTEN)
        return done;
    if (PyUnicode_CheckExact(object))
        return write_text(plain, object);
    if (PyLong_CheckExact(object))
        return write_integer(plain, object);
    if (PyFloat_CheckExact(object))
        return write_float(plain, object);
    return object == Py_None    ? write_opcode(plain, NONE)
           : object == Py_True  ? write_opcode(plain, NEWTRUE)
           : object == Py_False ? write_opcode(plain, NEWFALSE)
                                : NOT_PLAIN;
}

/* ---- containers ---- */

static int write_row(struct sf_plain *plain, PyObject *object)
{
    if (!PyTuple_CheckExact(object))
        return write_scalar(plain, object);
    static const enum opcode of_few[] = {EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3};
    Py_ssize_t count = PyTuple_GET_SIZE(object);
    int done = at_boundary(plain);
    if (done != WRITTEN)
        return done;
    if (count == 0)
        return write_opcode(plain, EMPTY_TUPLE);
    const struct sf_plain_seen *seen = may_come_again(object) ? find_seen(plain, object) : NULL;
    if (seen)
        return write_get(plain, seen->number);
    if (count > 3)
        done = write_opcode(plain, MARK);
    for (Py_ssize_t i = 0; done > 0 && i < count; i++)
        done = write_scalar(plain, PyTuple_GET_ITEM(object, i));
    if (done > 0)
        done = write_opcode(plain, count > 3 ? TUPLE : of_few[count]);
    return done > 0 ? memoize(plain, object) : done;
}

static int begin_container(struct sf_plain *plain, enum opcode opcode, Py_ssize_t count)
{
    plain->count = (uint32_t)count;
    plain->memoized++;
    int done = write_opcode(plain, opcode);
    return done > 0 ? write_opcode(plain, MEMOIZE) : done;
}

static int write_list(struct sf_plain *plain, PyObject *list)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    if ((size_t)count > MOST_BYTES)
        return NOT_PLAIN;
    int done = begin_container(plain, EMPTY_LIST, count);
    for (Py_ssize_t i = 0; done > 0 && i < count;) {
        Py_ssize_t end = count - i < BATCH ? count : i + BATCH;
        if (count > 1)
            done = write_opcode(plain, MARK);
        for (; done > 0 && i < end; i++)
            done = write_row(plain, PyList_GET_ITEM(list, i));
        if (done > 0)
            done = write_opcode(plain, count > 1 ? APPENDS : APPEND);
    }
    return done;
}

static int write_dict(struct sf_plain *plain, PyObject *dict)
{
    Py_ssize_t count = PyDict_GET_SIZE(dict), at = 0, batch = 0;
    PyObject *key, *value;
    if ((size_t)count > MOST_BYTES)
        return NOT_PLAIN;
    int done = begin_container(plain, EMPTY_DICT, count);
    if (done > 0 && count > 1)
        done = write_opcode(plain, MARK);
    while (done > 0 && PyDict_Next(dict, &at, &key, &value)) {
        done = write_row(plain, key);
        if (done > 0)
            done = write_row(plain, value);
        if (done > 0 && ++batch % BATCH == 0) /* after a last whole batch pickle writes an empty one */
            done = write_opcode(plain, SETITEMS) > 0 ? write_opcode(plain, MARK) : NO_MEMORY;
    }
    if (done <= 0 || count == 0)
        return done;
    return write_opcode(plain, count > 1 ? SETITEMS : SETITEM);
}

int sf_plain_write(struct sf_plain *plain, PyObject *object)
{
    static const unsigned char version = 5;
    plain->data = plain->first;
    plain->bytes = 0;
    plain->count = 0;
    plain->room = sizeof plain->first;
    plain->memoized = 0;
    plain->few = 0;
    plain->table = NULL;
    int done = write_with(plain, PROTO, &version, 1);
    if (done > 0)
        done = begin_frame(plain);
    if (done > 0)
        done = PyDict_CheckExact(object)   ? write_dict(plain, object)
               : PyList_CheckExact(object) ? write_list(plain, object)
                                           : write_row(plain, object);
    if (done > 0)
        done = write_opcode(plain, STOP);
    if (done > 0)
        end_frame(plain);
    return done;
}

void sf_plain_fini(struct sf_plain *plain)
{
    if (plain->data != plain->first)
        PyMem_Free(plain->data);
    PyMem_Free(plain->table);
}

#endif
