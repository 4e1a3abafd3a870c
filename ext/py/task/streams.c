/* The standard streams. See streams.h.
 *
 * A flush that has nothing to write costs little, but it writes into the stream's objects (it counts references), and
 * so copies a dozen pages in a process that has forked or was forked. Python does not say whether a stream holds
 * something. But the objects of its usual streams, a TextIOWrapper on a BufferedWriter or a FileIO, are structs of C.
 * If a flush has changed nothing in them, nothing was pending, and nothing is as long as they stay equal to the copies
 * made then. Where they differ, or the stream is of another type or has a flush of the program's, it is flushed. */
#include "py/task/streams.h"

#include "py/base/compat.h"

#include <stdbool.h>
#include <string.h>

static PyObject *system_names, *name_flush, *name_buffer;
static PyTypeObject *text_type, *buffer_type, *raw_type; /* raw_type: the buffer's with PYTHONUNBUFFERED */

#define MOST_BYTES 512 /* of a struct; they have some 200 */

static struct stream {
    const char *text;
    PyObject *name;
    /* when it held nothing; they are only compared with, and may be gone. NULL: that is not known */
    PyObject *wrapper, *buffer;
    char wrapper_bytes[MOST_BYTES], buffer_bytes[MOST_BYTES];
} streams[] = {{.text = "stdout"}, {.text = "stderr"}};

int sf_streams_init(void)
{
    PyObject *sys = PyImport_ImportModule("sys"), *io = PyImport_ImportModule("io");
    system_names = sys ? PyObject_GetAttrString(sys, "__dict__") : NULL;
    text_type = io ? (PyTypeObject *)PyObject_GetAttrString(io, "TextIOWrapper") : NULL;
    buffer_type = io ? (PyTypeObject *)PyObject_GetAttrString(io, "BufferedWriter") : NULL;
    raw_type = io ? (PyTypeObject *)PyObject_GetAttrString(io, "FileIO") : NULL;
    Py_XDECREF(sys);
    Py_XDECREF(io);
    name_flush = PyUnicode_InternFromString("flush");
    name_buffer = PyUnicode_InternFromString("buffer");
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        if (!(streams[i].name = PyUnicode_InternFromString(streams[i].text)))
            return -1;
    return system_names && text_type && buffer_type && raw_type && name_flush && name_buffer ? 0 : -1;
}

/* ---- whether there is something to flush ---- */

#ifdef PYPY_VERSION /* its objects are no structs */
static bool is_known(const struct stream *stream, PyObject *wrapper)
{
    (void)stream;
    (void)wrapper;
    return false;
}

static void copy(struct stream *stream, PyObject *wrapper)
{
    (void)stream;
    (void)wrapper;
}
#else
static bool is_buffer(PyObject *object)
{
    return Py_TYPE(object) == buffer_type || Py_TYPE(object) == raw_type;
}

/* Of the struct, behind the reference count and the type. */
static size_t bytes_of(const PyObject *object)
{
    return (size_t)Py_TYPE(object)->tp_basicsize - sizeof(PyObject);
}

static const char *struct_of(const PyObject *object)
{
    return (const char *)object + sizeof(PyObject);
}

static bool has_own_flush(PyObject *object)
{
    PyObject **dict = _PyObject_GetDictPtr(object);
    return dict && *dict && PyDict_GetItemWithError(*dict, name_flush);
}

static bool is_equal(PyObject *object, const char *bytes)
{
    return memcmp(struct_of(object), bytes, bytes_of(object)) == 0 && !has_own_flush(object);
}

/* Whether it is as it was then. An equal wrapper has the buffer that it had. */
static bool is_known(const struct stream *stream, PyObject *wrapper)
{
    return stream->wrapper == wrapper && Py_TYPE(wrapper) == text_type && is_equal(wrapper, stream->wrapper_bytes) &&
           is_buffer(stream->buffer) && is_equal(stream->buffer, stream->buffer_bytes);
}

/* Copies what a flush may change. */
static void copy(struct stream *stream, PyObject *wrapper)
{
    stream->wrapper = NULL;
    if (Py_TYPE(wrapper) != text_type || bytes_of(wrapper) > MOST_BYTES)
        return;
    PyObject *buffer = PyObject_GetAttr(wrapper, name_buffer);
    if (buffer && is_buffer(buffer) && bytes_of(buffer) <= MOST_BYTES) {
        memcpy(stream->wrapper_bytes, struct_of(wrapper), bytes_of(wrapper));
        memcpy(stream->buffer_bytes, struct_of(buffer), bytes_of(buffer));
        stream->wrapper = wrapper;
        stream->buffer = buffer;
    }
    PyErr_Clear(); /* it is detached */
    Py_XDECREF(buffer);
}

#endif

/* ---- flushing ---- */

static int flush(struct stream *stream)
{
    PyObject *wrapper = PyDict_GetItemWithError(system_names, stream->name); /* borrowed */
    if (!wrapper || wrapper == Py_None || is_known(stream, wrapper))
        return 0;
    Py_INCREF(wrapper);
    copy(stream, wrapper);
    PyObject *flushed = PyObject_CallMethodObjArgs(wrapper, name_flush, NULL);
    if (!flushed || !is_known(stream, wrapper))
        stream->wrapper = NULL;
    Py_DECREF(wrapper);
    if (!flushed && !PyErr_ExceptionMatches(PyExc_AttributeError) && !PyErr_ExceptionMatches(PyExc_ValueError) &&
        !PyErr_ExceptionMatches(PyExc_OSError))
        return -1;
    PyErr_Clear();
    Py_XDECREF(flushed);
    return 0;
}

int sf_streams_flush(void)
{
    return flush(&streams[0]) || flush(&streams[1]) ? -1 : 0;
}

/* A flush that writes lets other threads and signal handlers run, which may print more. A flush that has nothing to
 * write does not, so a second one leaves nothing that parent and child could both print. */
int sf_streams_flush_fully(void)
{
    for (int i = 0; i < 2; i++)
        if (sf_streams_flush())
            return -1;
    return 0;
}
