/* Plain objects: writing their pickles. See plain.h for what is plain; plain_read.c reads. A writer that finds an
 * object that is not plain returns NOT_PLAIN, and what was written is dropped.
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

#define MOST_BYTES ((size_t)1 << 20)   /* of a container; larger ones are left to pickle */
#define BATCH 1000                     /* pickle adds so many items to a container at a time */
#define FRAME_BYTES ((size_t)64 << 10) /* pickle ends a frame that has so many bytes */
#define FRAME_LEAST 4                  /* and writes no header for one with fewer than these */
#define FRAME_HEADER_BYTES 9
#define TABLE_FIRST 64
#define TABLE_FIRST_MOST 4096
#define NUMBER_BYTES 10 /* of an int or float, at most; put_integer may write as many */

enum { NOT_PLAIN = 0, WRITTEN = 1, NO_MEMORY = -1 };

/* ---- bytes ---- */

static void set_quick_end(struct sf_plain *plain)
{
    size_t frame_end = plain->frame + FRAME_BYTES + FRAME_HEADER_BYTES;
    plain->quick_end = plain->room < frame_end ? plain->room : frame_end;
}

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
    set_quick_end(plain);
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
    set_quick_end(plain);
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
static inline struct sf_plain_seen *place_in_table(const struct sf_plain *plain, const PyObject *object)
{
    uint32_t at = hash_of(object) & plain->table_mask;
    while (plain->table[at].object && plain->table[at].object != object)
        at = (at + 1) & plain->table_mask;
    return &plain->table[at];
}

/* Moves all to a new table of so many places. */
static inline int make_table(struct sf_plain *plain, uint32_t places)
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

static inline const struct sf_plain_seen *find_seen(const struct sf_plain *plain, const PyObject *object)
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

/* How many places a first table has. One for a container of so many items is seldom copied to a larger one. */
static inline uint32_t first_places(const struct sf_plain *plain)
{
    uint32_t places = TABLE_FIRST, items = plain->count & SF_PLAIN_ITEMS;
    while (places < items * 2 && places < TABLE_FIRST_MOST)
        places *= 2;
    return places;
}

static inline int keep_seen(struct sf_plain *plain, PyObject *object)
{
    struct sf_plain_seen seen = {object, plain->memoized};
    if (!plain->table && plain->few < SF_PLAIN_FEW_SEEN) {
        plain->few_seen[plain->few++] = seen;
        return WRITTEN;
    }
    if (!plain->table || plain->table_used > plain->table_mask / 2) {
        int made = make_table(plain, plain->table ? (plain->table_mask + 1) * 4 : first_places(plain));
        if (made < 0)
            return made;
    }
    *place_in_table(plain, object) = seen;
    plain->table_used++;
    return WRITTEN;
}

static int write_get(struct sf_plain *plain, uint32_t number)
{
    plain->count |= SF_PLAIN_SHARED;
    unsigned char small = (unsigned char)number;
    return number < 256 ? write_with(plain, BINGET, &small, 1) : write_with(plain, LONG_BINGET, &number, 4);
}

/* The object gets its number. The caller writes MEMOIZE. */
static inline int memoize(struct sf_plain *plain, PyObject *object)
{
    if (may_come_again(object) && keep_seen(plain, object) < 0)
        return NO_MEMORY;
    plain->memoized++;
    return WRITTEN;
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
    char *at = extend(plain, head + length + 1);
    if (!at || memoize(plain, text) < 0)
        return NO_MEMORY;
    uint32_t number = (uint32_t)length;
    at[0] = (char)(head == 2 ? SHORT_BINUNICODE : BINUNICODE);
    if (head == 2)
        at[1] = (char)number;
    else
        memcpy(at + 1, &number, sizeof number);
    copy_letters(at + head, PyUnicode_DATA(text), length);
    at[head + length] = (char)MEMOIZE;
    return WRITTEN;
}

/* Where the next opcode goes; NULL: it does not fit into 64 bits. There is room for NUMBER_BYTES. */
static inline char *put_integer(char *at, PyObject *object)
{
    int64_t value;
    if (!sf_integer_value(object, &value))
        return NULL;
    size_t bytes, head = 1;
    if ((uint64_t)value <= 0xffff) { /* most ints */
        uint16_t two = (uint16_t)value;
        *at = (char)(value > 0xff ? BININT2 : BININT1);
        memcpy(at + 1, &two, sizeof two);
        return at + 2 + (value > 0xff);
    }
    if (value == (int32_t)value) {
        bytes = 4;
        *at = (char)BININT;
    } else {
        bytes = (size_t)(64 - __builtin_clrsbll(value) + 7) / 8; /* with one bit for the sign */
        *at = (char)LONG1;
        at[1] = (char)bytes;
        head = 2;
    }
    memcpy(at + head, &value, sizeof value);
    return at + head + bytes;
}

static inline char *put_float(char *at, PyObject *object)
{
    double value = PyFloat_AS_DOUBLE(object);
    uint64_t word;
    memcpy(&word, &value, sizeof word);
    word = __builtin_bswap64(word);
    *at = (char)BINFLOAT;
    memcpy(at + 1, &word, sizeof word);
    return at + 1 + sizeof word;
}

static inline int write_number(struct sf_plain *plain, PyObject *object)
{
    char *at = extend(plain, NUMBER_BYTES);
    if (!at)
        return NO_MEMORY;
    char *end = PyFloat_CheckExact(object) ? put_float(at, object) : put_integer(at, object);
    if (!end)
        return NOT_PLAIN;
    plain->bytes -= NUMBER_BYTES - (size_t)(end - at);
    return WRITTEN;
}

/* Writes what most items are: a short str that stands nowhere else, or a number. False: it is none, or it does not fit
 * into the memory or the frame; nothing was written. */
static inline __attribute__((always_inline)) bool write_quickly(struct sf_plain *plain, PyObject *object)
{
    char *at = plain->data + plain->bytes, *end;
    if (PyUnicode_CheckExact(object)) {
        size_t length = (size_t)PyUnicode_GET_LENGTH(object), bytes = length + 3;
        if (length >= 256 || plain->bytes + bytes > plain->quick_end || may_come_again(object) ||
            !PyUnicode_IS_COMPACT_ASCII(object))
            return false;
        at[0] = (char)SHORT_BINUNICODE;
        at[1] = (char)length;
        copy_letters(at + 2, PyUnicode_DATA(object), length);
        at[2 + length] = (char)MEMOIZE;
        plain->memoized++;
        plain->bytes += bytes;
        return true;
    }
    if (plain->bytes + NUMBER_BYTES > plain->quick_end)
        return false;
    if (PyLong_CheckExact(object))
        end = put_integer(at, object);
    else
        end = PyFloat_CheckExact(object) ? put_float(at, object) : NULL;
    plain->bytes = end ? (size_t)(end - plain->data) : plain->bytes;
    return end;
}

/* Writes items of the list from *next to `end`, up to the first that is no number. Results of map are often lists of
 * numbers, and this loop is what sending one costs; so it looks at the room and the frame once for all. */
static int write_numbers(struct sf_plain *plain, PyObject *list, Py_ssize_t *next, Py_ssize_t end)
{
    Py_ssize_t i = *next;
    size_t most = (size_t)(end - i) * NUMBER_BYTES;
    if (plain->bytes + most - plain->frame >= FRAME_BYTES)
        return WRITTEN; /* the frame may end in between: item by item */
    char *start = extend(plain, most), *at = start;
    if (!at)
        return NO_MEMORY;
    PyObject **items = ((PyListObject *)list)->ob_item;
    for (; i < end; i++) {
        PyObject *item = items[i];
        if (PyLong_CheckExact(item)) {
            char *behind = put_integer(at, item);
            if (!behind)
                return NOT_PLAIN;
            at = behind;
        } else if (PyFloat_CheckExact(item)) {
            at = put_float(at, item);
        } else {
            break;
        }
    }
    plain->bytes -= most - (size_t)(at - start);
    *next = i;
    return WRITTEN;
}

static int write_scalar(struct sf_plain *plain, PyObject *object)
{
    int done = at_boundary(plain);
    if (done != WRITTEN)
        return done;
    if (PyUnicode_CheckExact(object))
        return write_text(plain, object);
    if (PyLong_CheckExact(object) || PyFloat_CheckExact(object))
        return write_number(plain, object);
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
        if (!write_quickly(plain, PyTuple_GET_ITEM(object, i)))
            done = write_scalar(plain, PyTuple_GET_ITEM(object, i));
    if (done <= 0)
        return done;
    char *at = extend(plain, 2);
    if (!at || memoize(plain, object) < 0)
        return NO_MEMORY;
    at[0] = (char)(count > 3 ? TUPLE : of_few[count]);
    at[1] = (char)MEMOIZE;
    return WRITTEN;
}

static int begin_container(struct sf_plain *plain, enum opcode opcode, Py_ssize_t count)
{
    plain->count |= (uint32_t)count;
    plain->memoized++;
    int done = write_opcode(plain, opcode);
    return done > 0 ? write_opcode(plain, MEMOIZE) : done;
}

static int write_list(struct sf_plain *plain, PyObject *list)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    if ((size_t)count > MOST_BYTES) /* each item has a byte at least */
        return NOT_PLAIN;
    int done = begin_container(plain, EMPTY_LIST, count);
    bool numbers = true;
    for (Py_ssize_t i = 0; done > 0 && i < count;) {
        Py_ssize_t end = count - i < BATCH ? count : i + BATCH;
        if (count > 1)
            done = write_opcode(plain, MARK);
        while (done > 0 && i < end) {
            PyObject *item = PyList_GET_ITEM(list, i);
            bool number = PyLong_CheckExact(item) || PyFloat_CheckExact(item);
            Py_ssize_t before = i;
            if (number)
                done = write_numbers(plain, list, &i, end);
            if (i > before)
                continue;
            numbers &= number;
            if (!write_quickly(plain, item))
                done = write_row(plain, item);
            i++;
        }
        if (done > 0)
            done = write_opcode(plain, count > 1 ? APPENDS : APPEND);
    }
    if (numbers)
        plain->count |= SF_PLAIN_NUMBERS;
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
        if (!write_quickly(plain, key))
            done = write_row(plain, key);
        if (done > 0 && !write_quickly(plain, value))
            done = write_row(plain, value);
        if (done > 0 && ++batch % BATCH == 0) /* after a last whole batch pickle writes an empty one */
            done = write_opcode(plain, SETITEMS) > 0 ? write_opcode(plain, MARK) : NO_MEMORY;
    }
    if (done <= 0 || count == 0)
        return done;
    return write_opcode(plain, count > 1 ? SETITEMS : SETITEM);
}

/* A number, or what has an opcode of its own, if that is all there is. Such a pickle may be so short that it has no
 * frame. */
static inline bool write_single(struct sf_plain *plain, PyObject *object)
{
    char *framed = plain->first + plain->bytes, *at = plain->first + plain->frame;
    if (object == Py_None || object == Py_True || object == Py_False) {
        *at++ = (char)(object == Py_None ? NONE : object == Py_True ? NEWTRUE : NEWFALSE);
        *at++ = (char)STOP;
        plain->bytes = (size_t)(at - plain->first);
        return true;
    }
    bool is_int = PyLong_CheckExact(object);
    char *end = is_int ? put_integer(framed, object) : PyFloat_CheckExact(object) ? put_float(framed, object) : NULL;
    if (!end)
        return false;
    *end++ = (char)STOP;
    if (end - framed < FRAME_LEAST) {
        memcpy(at, framed, FRAME_LEAST - 1);
        end -= FRAME_HEADER_BYTES;
    } else {
        uint64_t length = (uint64_t)(end - framed);
        *at = (char)FRAME;
        memcpy(at + 1, &length, sizeof length);
    }
    plain->bytes = (size_t)(end - plain->first);
    return true;
}

int sf_plain_write(struct sf_plain *plain, PyObject *object)
{
    plain->data = plain->first;
    plain->count = 0;
    plain->room = sizeof plain->first;
    plain->memoized = 0;
    plain->few = 0;
    plain->table = NULL;
    plain->first[SF_PLAIN_LABEL_BYTES] = (char)PROTO;
    plain->first[SF_PLAIN_LABEL_BYTES + 1] = 5;
    plain->frame = SF_PLAIN_LABEL_BYTES + 2;
    plain->bytes = plain->frame + FRAME_HEADER_BYTES;
    if (write_single(plain, object))
        return WRITTEN;
    plain->quick_end = plain->room;
    int done = PyDict_CheckExact(object)   ? write_dict(plain, object)
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
    if (plain->table)
        PyMem_Free(plain->table);
}

#endif
