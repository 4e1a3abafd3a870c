/* Plain objects: writing and reading. See plain.h for what is plain and for the format. A writer that finds an
 * object that is not plain returns NOT_PLAIN, and what was written is dropped. */
#include "py/message/plain.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MOST_BYTES ((size_t)1 << 20) /* of a container; longer ones are pickled */
#define NUMBER_BYTES sizeof(int64_t) /* of an int or a float */
#define MOST_LETTERS 256             /* of a str in a container */

#ifdef PYPY_VERSION

int sf_plain_write(struct sf_plain *plain, PyObject *object)
{
    (void)object;
    plain->data = plain->first;
    return 0;
}

void sf_plain_fini(struct sf_plain *plain)
{
    (void)plain;
}

PyObject *sf_plain_read(const char *data)
{
    (void)data;
    PyErr_SetString(PyExc_RuntimeError, "nothing is plain on PyPy");
    return NULL;
}

#else

static_assert(sizeof(double) == NUMBER_BYTES, "ints and floats take the same room");

enum { NOT_PLAIN = 0, WRITTEN = 1, NO_MEMORY = -1 };

/* ---- writing ---- */

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

static inline int write_tagged(struct sf_plain *plain, char tag, const void *value, size_t bytes)
{
    char *at = extend(plain, 1 + bytes);
    if (!at)
        return NO_MEMORY;
    *at = tag;
    memcpy(at + 1, value, bytes);
    return WRITTEN;
}

static inline int write_count(struct sf_plain *plain, char tag, Py_ssize_t count)
{
    uint32_t number = (uint32_t)count;
    return write_tagged(plain, tag, &number, sizeof number);
}

static int write_text(struct sf_plain *plain, PyObject *text, Py_ssize_t most)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    if (length > most || !PyUnicode_IS_COMPACT_ASCII(text))
        return NOT_PLAIN;
    if (write_count(plain, 's', length) < 0)
        return NO_MEMORY;
    char *at = extend(plain, (size_t)length);
    if (!at)
        return NO_MEMORY;
    memcpy(at, PyUnicode_DATA(text), (size_t)length);
    return WRITTEN;
}

/* Whether it fits into 64 bits. */
static inline int as_integer(PyObject *object, int64_t *value)
{
    int overflow;
    *value = PyLong_AsLongLongAndOverflow(object, &overflow);
    return !overflow;
}

static int write_scalar(struct sf_plain *plain, PyObject *object, Py_ssize_t most_letters)
{
    if (PyUnicode_CheckExact(object))
        return write_text(plain, object, most_letters);
    if (PyLong_CheckExact(object)) {
        int64_t value;
        return as_integer(object, &value) ? write_tagged(plain, 'i', &value, sizeof value) : NOT_PLAIN;
    }
    if (PyFloat_CheckExact(object)) {
        double value = PyFloat_AS_DOUBLE(object);
        return write_tagged(plain, 'd', &value, sizeof value);
    }
    char tag = object == Py_None ? 'N' : object == Py_True ? 'T' : object == Py_False ? 'F' : 0;
    return tag ? write_tagged(plain, tag, "", 0) : NOT_PLAIN;
}

static int write_row(struct sf_plain *plain, PyObject *object)
{
    if (!PyTuple_CheckExact(object))
        return write_scalar(plain, object, MOST_LETTERS);
    int done = write_count(plain, 't', PyTuple_GET_SIZE(object));
    for (Py_ssize_t i = 0; done > 0 && i < PyTuple_GET_SIZE(object); i++)
        done = plain->bytes > MOST_BYTES ? NOT_PLAIN : write_scalar(plain, PyTuple_GET_ITEM(object, i), MOST_LETTERS);
    return done;
}

static inline bool put_integer(PyObject *item, char *to)
{
    int64_t value;
    if (!PyLong_CheckExact(item) || !as_integer(item, &value))
        return false;
    memcpy(to, &value, sizeof value);
    return true;
}

static inline bool put_float(PyObject *item, char *to)
{
    if (!PyFloat_CheckExact(item))
        return false;
    double value = PyFloat_AS_DOUBLE(item);
    memcpy(to, &value, sizeof value);
    return true;
}

/* Lists of ints only, or of floats only, have a shorter format: results of map are often such lists. Inlined for each
 * of the two `put`, because this loop is what sending such a list costs. */
static inline __attribute__((always_inline)) int write_numbers(struct sf_plain *plain, char tag, PyObject *list,
                                                               bool (*put)(PyObject *item, char *to))
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    char *at = write_count(plain, tag, count) > 0 ? extend(plain, (size_t)count * NUMBER_BYTES) : NULL;
    if (!at)
        return NO_MEMORY;
    for (Py_ssize_t i = 0; i < count; i++, at += NUMBER_BYTES)
        if (!put(PyList_GET_ITEM(list, i), at))
            return NOT_PLAIN;
    return WRITTEN;
}

static int write_list(struct sf_plain *plain, PyObject *list)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    if ((size_t)count > MOST_BYTES / NUMBER_BYTES)
        return NOT_PLAIN;
    PyObject *first = count ? PyList_GET_ITEM(list, 0) : Py_None;
    int done = PyLong_CheckExact(first)    ? write_numbers(plain, 'I', list, put_integer)
               : PyFloat_CheckExact(first) ? write_numbers(plain, 'D', list, put_float)
                                           : NOT_PLAIN;
    if (done != NOT_PLAIN)
        return done;
    plain->bytes = 0;
    done = write_count(plain, 'l', count);
    for (Py_ssize_t i = 0; done > 0 && i < count; i++)
        done = plain->bytes > MOST_BYTES ? NOT_PLAIN : write_row(plain, PyList_GET_ITEM(list, i));
    return done;
}

static int write_dict(struct sf_plain *plain, PyObject *dict)
{
    Py_ssize_t at = 0;
    PyObject *key, *value;
    int done = write_count(plain, 'm', PyDict_GET_SIZE(dict));
    while (done > 0 && PyDict_Next(dict, &at, &key, &value)) {
        done = plain->bytes > MOST_BYTES ? NOT_PLAIN : write_row(plain, key);
        if (done > 0)
            done = write_row(plain, value);
    }
    return done;
}

int sf_plain_write(struct sf_plain *plain, PyObject *object)
{
    plain->data = plain->first;
    plain->bytes = 0;
    plain->room = sizeof plain->first;
    if (PyDict_CheckExact(object))
        return write_dict(plain, object);
    if (PyList_CheckExact(object))
        return write_list(plain, object);
    if (PyTuple_CheckExact(object))
        return write_row(plain, object);
    return write_scalar(plain, object, (Py_ssize_t)MOST_BYTES);
}

void sf_plain_fini(struct sf_plain *plain)
{
    if (plain->data != plain->first)
        PyMem_Free(plain->data);
}

/* ---- reading ---- */

static inline uint32_t read_count(const char **at)
{
    uint32_t count;
    memcpy(&count, *at, sizeof count);
    *at += sizeof count;
    return count;
}

static inline PyObject *read_integer(const char **at)
{
    int64_t value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return PyLong_FromLongLong(value);
}

static inline PyObject *read_float(const char **at)
{
    double value;
    memcpy(&value, *at, sizeof value);
    *at += sizeof value;
    return PyFloat_FromDouble(value);
}

static PyObject *read_text(const char **at)
{
    uint32_t length = read_count(at);
    PyObject *text = PyUnicode_New((Py_ssize_t)length, 127);
    if (text && length) /* the empty str is shared, and must not be written to */
        memcpy(PyUnicode_DATA(text), *at, length);
    *at += length;
    return text;
}

static PyObject *read_value(const char **at);

static PyObject *read_tuple(const char **at)
{
    Py_ssize_t count = read_count(at);
    PyObject *tuple = PyTuple_New(count);
    for (Py_ssize_t i = 0; tuple && i < count; i++) {
        PyObject *item = read_value(at);
        if (item)
            PyTuple_SET_ITEM(tuple, i, item);
        else
            Py_CLEAR(tuple);
    }
    return tuple;
}

static PyObject *read_list(const char **at, PyObject *(*read)(const char **))
{
    Py_ssize_t count = read_count(at);
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *item = read(at);
        if (item)
            PyList_SET_ITEM(list, i, item);
        else
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *read_dict(const char **at)
{
    uint32_t count = read_count(at);
    PyObject *dict = PyDict_New();
    while (dict && count--) {
        PyObject *key = read_value(at), *value = key ? read_value(at) : NULL;
        if (!value || PyDict_SetItem(dict, key, value))
            Py_CLEAR(dict);
        Py_XDECREF(key);
        Py_XDECREF(value);
    }
    return dict;
}

static PyObject *read_value(const char **at)
{
    switch (*(*at)++) {
    case 'i':
        return read_integer(at);
    case 'd':
        return read_float(at);
    case 's':
        return read_text(at);
    case 'T':
        return Py_NewRef(Py_True);
    case 'F':
        return Py_NewRef(Py_False);
    case 't':
        return read_tuple(at);
    case 'm':
        return read_dict(at);
    case 'l':
        return read_list(at, read_value);
    case 'I':
        return read_list(at, read_integer);
    case 'D':
        return read_list(at, read_float);
    default:
        return Py_NewRef(Py_None);
    }
}

PyObject *sf_plain_read(const char *data)
{
    return read_value(&data);
}

#endif
