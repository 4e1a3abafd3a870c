/* Messages: packing. See message.h for the layout; opening.c opens them. */
#include "py/message/message.h"

#include <assert.h>
#include <string.h>

#include "core/log/log.h"
#include "py/message/pickle.h"
#include "py/trace/stretch.h"

static PyObject *choose_buffer(PyObject *buffers, PyObject *buffer);
static PyMethodDef chooser = {"choose_buffer", choose_buffer, METH_O, NULL};

static void set_body(struct sf_message *message, uint64_t label, void *body, size_t bytes)
{
    message->head = label;
    message->pair[0] = (struct iovec){&message->head, SF_MESSAGE_LABEL_BYTES};
    message->pair[1] = (struct iovec){body, bytes};
    message->parts = message->pair;
    message->count = 2;
    message->bytes = SF_MESSAGE_LABEL_BYTES + bytes;
}

static int pack_view(struct sf_message *message, enum sf_message_kind kind, PyObject *object)
{
    if (PyObject_GetBuffer(object, &message->body, PyBUF_ANY_CONTIGUOUS))
        return -1;
    set_body(message, sf_message_label(kind, 0), message->body.buf, (size_t)message->body.len);
    return 0;
}

/* Most of the struct is written when it is needed. */
static void clear(struct sf_message *message)
{
    message->bytes = 0;
    message->parts = message->pair;
    message->count = 0;
    message->body.obj = NULL;
    message->buffers = NULL;
    message->views = NULL;
    message->viewed = 0;
    message->table = NULL;
    message->plain.data = message->plain.first;
    message->plain.table = NULL;
}

int sf_message_pack_buffer(struct sf_message *message, PyObject *object)
{
    clear(message);
    return pack_view(message, SF_MESSAGE_BYTES, object);
}

void sf_message_pack_integers(struct sf_message *message, const int64_t *values, size_t count)
{
    clear(message);
    set_body(message, sf_message_label(SF_MESSAGE_INTEGERS, (uint32_t)count), (void *)values, count * sizeof *values);
}

static void add_part(struct sf_message *message, const void *data, uint64_t bytes)
{
    message->parts[message->count++] = (struct iovec){(void *)data, bytes};
    message->bytes += bytes;
}

/* Whether the view is of a numpy array that may be changed. Numpy is not asked: it may not be there. */
static bool is_writable_array(const Py_buffer *view)
{
    return !view->readonly && view->obj && strcmp(Py_TYPE(view->obj)->tp_name, "numpy.ndarray") == 0;
}

/* Pickle calls it with each buffer that could go out of band. True: leave it in the pickle. */
static PyObject *choose_buffer(PyObject *buffers, PyObject *buffer)
{
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_ANY_CONTIGUOUS)) {
        PyErr_Clear(); /* it is in pieces: pickle says so */
        Py_RETURN_TRUE;
    }
    bool in_band = view.len < (Py_ssize_t)SF_MESSAGE_LARGE_BYTES && !is_writable_array(&view);
    PyBuffer_Release(&view);
    if (in_band)
        Py_RETURN_TRUE;
    return PyList_Append(buffers, buffer) ? NULL : Py_NewRef(Py_False);
}

/* The pickle is in message->body: adds the table before it and the buffers behind it. */
static int pack_buffers(struct sf_message *message)
{
    Py_ssize_t count = PyList_GET_SIZE(message->buffers);
    message->views = PyMem_Calloc((size_t)count, sizeof *message->views);
    message->table = PyMem_Calloc((size_t)count + 1, sizeof *message->table);
    message->parts = PyMem_Calloc((size_t)count + 2, sizeof *message->parts);
    if (!message->views || !message->table || !message->parts) {
        PyErr_NoMemory();
        return -1;
    }
    message->count = 0;
    message->bytes = 0;
    message->table[0] = sf_message_label(SF_MESSAGE_PARTS, (uint32_t)count);
    add_part(message, message->table, ((uint64_t)count + 1) * sizeof *message->table);
    add_part(message, message->body.buf, (uint64_t)message->body.len);
    for (; message->viewed < count; message->viewed++) {
        Py_buffer *view = &message->views[message->viewed];
        if (PyObject_GetBuffer(PyList_GET_ITEM(message->buffers, message->viewed), view, PyBUF_ANY_CONTIGUOUS))
            return -1;
        message->table[1 + message->viewed] = (uint64_t)view->len | (view->readonly ? SF_MESSAGE_READ_ONLY : 0) |
                                              (is_writable_array(view) ? SF_MESSAGE_ARRAY : 0);
        add_part(message, view->buf, (uint64_t)view->len);
    }
    return 0;
}

#define FIRST_BUFFER 2 /* in parts: before it are the table and the pickle */

const struct iovec *sf_message_array(const struct sf_message *message, Py_ssize_t i)
{
    assert(i < message->viewed);
    bool is_here = (message->table[1 + i] & (SF_MESSAGE_ARRAY | SF_MESSAGE_TAKEN)) == SF_MESSAGE_ARRAY;
    return is_here ? &message->parts[FIRST_BUFFER + i] : NULL;
}

void sf_message_leave_out(struct sf_message *message, Py_ssize_t i)
{
    struct iovec *part = &message->parts[FIRST_BUFFER + i];
    message->table[1 + i] |= SF_MESSAGE_TAKEN;
    message->bytes -= part->iov_len;
    part->iov_len = 0;
}

static int pack_pickle(struct sf_message *message, PyObject *object)
{
    message->buffers = PyList_New(0);
    PyObject *callback = message->buffers ? PyCFunction_New(&chooser, message->buffers) : NULL;
    PyObject *pickle = callback ? sf_pickle_dumps_buffers(object, callback) : NULL;
    Py_XDECREF(callback);
    if (!pickle)
        return -1;
    int failed = pack_view(message, SF_MESSAGE_PICKLE, pickle); /* the view holds the bytes object */
    Py_DECREF(pickle);
    if (!failed && PyList_GET_SIZE(message->buffers))
        failed = pack_buffers(message);
    return failed;
}

int sf_message_pack(struct sf_message *message, PyObject *object)
{
    clear(message);
    if (PyBytes_CheckExact(object))
        return pack_view(message, SF_MESSAGE_BYTES, object);
    if (PyByteArray_CheckExact(object))
        return pack_view(message, SF_MESSAGE_BYTEARRAY, object);
    uint64_t from = sf_log_stretch_begin();
    int plain = sf_plain_write(&message->plain, object);
    if (plain < 0)
        return -1;
    if (!plain)
        return pack_pickle(message, object);
    uint64_t label = sf_message_label(SF_MESSAGE_PLAIN, message->plain.count);
    static_assert(sizeof label == SF_PLAIN_LABEL_BYTES, "the label stands before the pickle");
    memcpy(message->plain.data, &label, sizeof label);
    add_part(message, message->plain.data, message->plain.bytes);
    if (message->bytes >= SF_STRETCH_LEAST_BYTES)
        sf_log_stretch(SF_EVENT_PICKLED, from, message->bytes);
    return 0;
}

bool sf_message_can_pack(PyObject *object)
{
    struct sf_message message;
    bool is_packed = sf_message_pack(&message, object) == 0;
    PyObject *raised = is_packed ? NULL : sf_take_raised();
    sf_message_fini(&message);
    if (raised)
        sf_put_raised(raised);
    return is_packed;
}

static void copy_in(const struct sf_message *message, struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    uint64_t at = 0;
    for (int i = 0; i < message->count; i++) {
        sf_ring_put(ring, slot, at, message->parts[i].iov_base, message->parts[i].iov_len);
        at += message->parts[i].iov_len;
    }
    assert(at == message->bytes);
}

void sf_message_put(const struct sf_message *message, struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    if (message->bytes < SF_MESSAGE_UNLOCKED_BYTES) {
        copy_in(message, ring, slot);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        copy_in(message, ring, slot);
        Py_END_ALLOW_THREADS;
    }
}

void sf_message_fini(struct sf_message *message)
{
    if (message->buffers) {
        for (Py_ssize_t i = 0; i < message->viewed; i++)
            PyBuffer_Release(&message->views[i]);
        PyMem_Free(message->views);
        PyMem_Free(message->table);
        if (message->parts != message->pair)
            PyMem_Free(message->parts);
        Py_DECREF(message->buffers);
    }
    if (message->body.obj)
        PyBuffer_Release(&message->body);
    sf_plain_fini(&message->plain);
}
