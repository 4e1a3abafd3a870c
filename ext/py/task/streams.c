/* Flushing the standard streams. See streams.h.
 *
 * To call flush() touches a dozen pages, here and in each child, and after a fork each of them is a page fault:
 * five hundredths of what a fork costs. So a stream of the interpreter's own kind is remembered as it is in memory
 * after it was flushed. It holds all that it has yet to write by fields of its own, which say then that there is
 * nothing; while its bytes and its buffer's are the same, they say so still. Unless flush is another function now:
 * one was set on the object. */
#include "py/task/streams.h"

#include <stdbool.h>
#include <string.h>

#define MOST_BYTES 512 /* of a stream's, and of a buffer's, object */

/* An object as it was. The address is only compared, and only while who points there is unchanged. */
struct picture {
    PyObject *object;
    size_t bytes;
    char body[MOST_BYTES]; /* from its type on: what refers to it may change */
};

static struct stream {
    const char *word;
    PyObject *name;
    struct picture text, buffer;
} streams[] = {{.word = "stdout"}, {.word = "stderr"}};

static PyObject *sys_names; /* sys.__dict__, borrowed for ever */
static PyObject *word_flush, *word_buffer;
static PyTypeObject *text_type, *buffer_type, *raw_type; /* what the interpreter opens its streams as */

static PyTypeObject *type_of(const char *name)
{
    PyObject *module = PyImport_ImportModule("io");
    PyObject *type = module ? PyObject_GetAttrString(module, name) : NULL;
    Py_XDECREF(module);
    return (PyTypeObject *)type;
}

int sf_streams_init(void)
{
    PyObject *sys = PyImport_ImportModule("sys");
    sys_names = sys ? PyModule_GetDict(sys) : NULL;
    Py_XDECREF(sys); /* sys.modules holds it */
    text_type = type_of("TextIOWrapper");
    buffer_type = type_of("BufferedWriter");
    raw_type = type_of("FileIO");
    word_flush = PyUnicode_InternFromString("flush");
    word_buffer = PyUnicode_InternFromString("buffer");
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        if (!(streams[i].name = PyUnicode_InternFromString(streams[i].word)))
            return -1;
    return sys_names && text_type && buffer_type && raw_type && word_flush && word_buffer ? 0 : -1;
}

static const char *body_of(PyObject *object)
{
    return (const char *)object + offsetof(PyObject, ob_type);
}

#ifdef PYPY_VERSION /* what the C layer sees there is not the stream: none is ever remembered */

static bool has_nothing(const struct stream *stream, PyObject *text)
{
    return (void)stream, (void)text, false;
}

static bool can_be_pictured(PyObject *object, PyTypeObject *type)
{
    return (void)object, (void)type, false;
}

#else

static bool is_as_it_was(const struct picture *picture, PyObject *object)
{
    return picture->object == object && memcmp(picture->body, body_of(object), picture->bytes) == 0;
}

static bool has_own_flush(PyObject *object)
{
    PyObject **names = _PyObject_GetDictPtr(object);
    return names && *names && PyDict_GetItemWithError(*names, word_flush);
}

/* The text's picture is compared first: while it is the same, the text holds the buffer. */
static bool has_nothing(const struct stream *stream, PyObject *text)
{
    return Py_IS_TYPE(text, text_type) && is_as_it_was(&stream->text, text) &&
           is_as_it_was(&stream->buffer, stream->buffer.object) && !has_own_flush(text) &&
           !has_own_flush(stream->buffer.object);
}

static bool can_be_pictured(PyObject *object, PyTypeObject *type)
{
    return Py_IS_TYPE(object, type) && type->tp_basicsize <= MOST_BYTES;
}

#endif

static void take_picture(struct picture *picture, PyObject *object)
{
    picture->object = object;
    picture->bytes = (size_t)Py_TYPE(object)->tp_basicsize - offsetof(PyObject, ob_type);
    memcpy(picture->body, body_of(object), picture->bytes);
}

/* The stream was just flushed. Meanwhile another thread, or a signal handler, may have written more, which would be
 * in the pictures. A flush without anything to do lets nobody in between: it leaves them as they are. */
static PyObject *remember(struct stream *stream, PyObject *text)
{
    stream->text.object = NULL;
    if (!can_be_pictured(text, text_type))
        Py_RETURN_NONE;
    PyObject *buffer = PyObject_GetAttr(text, word_buffer), *done;
    if (!buffer)
        return NULL;
    if (can_be_pictured(buffer, buffer_type) || can_be_pictured(buffer, raw_type)) {
        take_picture(&stream->text, text);
        take_picture(&stream->buffer, buffer);
        done = PyObject_CallMethodObjArgs(text, word_flush, NULL);
        if (!done || !has_nothing(stream, text))
            stream->text.object = NULL;
    } else {
        done = Py_NewRef(Py_None);
    }
    Py_DECREF(buffer); /* the text holds it */
    return done;
}

static int flush(struct stream *stream)
{
    PyObject *text = PyDict_GetItemWithError(sys_names, stream->name); /* borrowed */
    if (!text || text == Py_None)
        return 0;
    if (has_nothing(stream, text))
        return 0;
    Py_INCREF(text);
    PyObject *done = PyObject_CallMethodObjArgs(text, word_flush, NULL);
    if (done)
        Py_SETREF(done, remember(stream, text));
    Py_DECREF(text);
    if (!done && !PyErr_ExceptionMatches(PyExc_AttributeError) && !PyErr_ExceptionMatches(PyExc_ValueError) &&
        !PyErr_ExceptionMatches(PyExc_OSError))
        return -1;
    PyErr_Clear();
    Py_XDECREF(done);
    return 0;
}

int sf_streams_flush(void)
{
    for (size_t i = 0; i < sizeof streams / sizeof *streams; i++)
        if (flush(&streams[i]))
            return -1;
    return 0;
}
