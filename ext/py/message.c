/* Messages. See message.h. */
#include "py/message.h"

#include "core/shm.h"
#include "py/pickle.h"

#include <string.h>

#define ALONE_BYTES (64u << 10)   /* from here on a copy takes longer than giving up the interpreter lock */
#define IN_PLACE_BYTES (8u << 10) /* from here on a copy takes longer than looking at memory that is not Python's */

struct head {
    uint32_t kind, count;
};

static PyObject *append; /* "append" */

int sf_message_init(void)
{
    append = PyUnicode_InternFromString("append");
    return append ? 0 : -1;
}

/* ---- sending ---- */

static int pack_view(struct sf_message *message, enum sf_message_kind kind, PyObject *object)
{
    message->kind = kind;
    if (PyObject_GetBuffer(object, &message->one, PyBUF_ANY_CONTIGUOUS))
        return -1;
    message->bytes = sizeof(struct head) + (uint64_t)message->one.len;
    return 0;
}

int sf_message_pack_buffer(struct sf_message *message, PyObject *object)
{
    *message = (struct sf_message){.count = 0};
    return pack_view(message, SF_MESSAGE_BYTES, object);
}

static bool has_no_buffers(PyObject *object)
{
    return object == Py_None || PyLong_CheckExact(object) || PyFloat_CheckExact(object) || PyUnicode_CheckExact(object) ||
           PyBool_Check(object);
}

static int pack_views(struct sf_message *message)
{
    Py_ssize_t count = PyList_GET_SIZE(message->buffers);
    message->views = PyMem_Calloc((size_t)count, sizeof *message->views);
    if (!message->views) {
        PyErr_NoMemory();
        return -1;
    }
    message->bytes += (uint64_t)(1 + count) * sizeof(uint64_t);
    for (; message->count < count; message->count++) {
        Py_buffer *view = &message->views[message->count];
        if (PyObject_GetBuffer(PyList_GET_ITEM(message->buffers, message->count), view, PyBUF_ANY_CONTIGUOUS))
            return -1;
        message->bytes += (uint64_t)view->len;
    }
    return 0;
}

int sf_message_pack(struct sf_message *message, PyObject *object)
{
    *message = (struct sf_message){.count = 0};
    if (PyBytes_CheckExact(object))
        return pack_view(message, SF_MESSAGE_BYTES, object);
    if (PyByteArray_CheckExact(object))
        return pack_view(message, SF_MESSAGE_BYTEARRAY, object);
    PyObject *pickle;
    if (has_no_buffers(object)) {
        pickle = sf_pickle_dumps(object);
    } else {
        message->buffers = PyList_New(0);
        PyObject *callback = message->buffers ? PyObject_GetAttr(message->buffers, append) : NULL;
        pickle = callback ? sf_pickle_dumps_buffers(object, callback) : NULL;
        Py_XDECREF(callback);
    }
    if (!pickle)
        return -1;
    int failed = pack_view(message, SF_MESSAGE_PICKLE, pickle); /* the view holds the bytes object */
    Py_DECREF(pickle);
    if (!failed && message->buffers && PyList_GET_SIZE(message->buffers)) {
        message->kind = SF_MESSAGE_PARTS;
        failed = pack_views(message);
    }
    return failed;
}

void sf_message_put(const struct sf_message *message, struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    struct head head = {message->kind, (uint32_t)message->count};
    uint64_t at = 0;
    sf_ring_put(ring, slot, at, &head, sizeof head);
    at += sizeof head;
    if (message->kind == SF_MESSAGE_PARTS) {
        uint64_t size = (uint64_t)message->one.len;
        sf_ring_put(ring, slot, at, &size, sizeof size);
        at += sizeof size;
        for (Py_ssize_t i = 0; i < message->count; i++, at += sizeof size) {
            size = (uint64_t)message->views[i].len;
            sf_ring_put(ring, slot, at, &size, sizeof size);
        }
    }
    sf_ring_put(ring, slot, at, message->one.buf, (uint64_t)message->one.len);
    at += (uint64_t)message->one.len;
    for (Py_ssize_t i = 0; i < message->count; i++) {
        sf_ring_put(ring, slot, at, message->views[i].buf, (uint64_t)message->views[i].len);
        at += (uint64_t)message->views[i].len;
    }
}

void sf_message_fini(struct sf_message *message)
{
    for (Py_ssize_t i = 0; i < message->count; i++)
        PyBuffer_Release(&message->views[i]);
    PyMem_Free(message->views);
    if (message->one.obj)
        PyBuffer_Release(&message->one);
    Py_XDECREF(message->buffers);
}

/* ---- receiving ---- */

static void get(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, char *to, uint64_t bytes)
{
    if (bytes < ALONE_BYTES) {
        sf_ring_get(ring, slot, at, to, bytes);
        return;
    }
    Py_BEGIN_ALLOW_THREADS;
    sf_shm_advise_huge(to, bytes);
    sf_ring_get(ring, slot, at, to, bytes);
    Py_END_ALLOW_THREADS;
}

static PyObject *get_bytes(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t bytes)
{
    PyObject *object = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
    if (object)
        get(ring, slot, at, PyBytes_AS_STRING(object), bytes);
    return object;
}

static PyObject *get_bytearray(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t bytes)
{
    PyObject *object = PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)bytes);
    if (object)
        get(ring, slot, at, PyByteArray_AS_STRING(object), bytes);
    return object;
}

/* Unpickles `bytes` bytes at `at`: in place where they are many and stand in one run. Releases the slot. */
static PyObject *get_pickled(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t bytes)
{
    uint64_t run = 0;
    void *place = sf_ring_at(ring, slot, at, &run);
    PyObject *object;
    if (bytes >= IN_PLACE_BYTES && run >= bytes) {
        object = sf_pickle_loads(place, (Py_ssize_t)bytes);
        sf_ring_release(ring, slot);
    } else {
        PyObject *copy = get_bytes(ring, slot, at, bytes);
        sf_ring_release(ring, slot);
        object = copy ? sf_pickle_loads_bytes(copy) : NULL;
        Py_XDECREF(copy);
    }
    return object;
}

/* The buffers become bytearrays: what is made of them can be written to, as its original could. */
static PyObject *get_parts(struct sf_ring *ring, const struct sf_ring_slot *slot, uint32_t count)
{
    uint64_t size, table = sizeof(struct head), at = table + (1 + (uint64_t)count) * sizeof size;
    sf_ring_get(ring, slot, table, &size, sizeof size);
    PyObject *pickle = get_bytes(ring, slot, at, size), *buffers = PyList_New(0), *object = NULL;
    at += size;
    for (uint32_t i = 0; i < count && pickle && buffers; i++) {
        sf_ring_get(ring, slot, table + (1 + (uint64_t)i) * sizeof size, &size, sizeof size);
        PyObject *buffer = get_bytearray(ring, slot, at, size);
        at += size;
        if (!buffer || PyList_Append(buffers, buffer))
            Py_CLEAR(buffers);
        Py_XDECREF(buffer);
    }
    sf_ring_release(ring, slot);
    if (pickle && buffers)
        object = sf_pickle_loads_buffers(pickle, buffers);
    Py_XDECREF(pickle);
    Py_XDECREF(buffers);
    return object;
}

PyObject *sf_message_open(struct sf_ring *ring, const struct sf_ring_slot *slot, bool want_bytes)
{
    struct head head;
    PyObject *object;
    sf_ring_get(ring, slot, 0, &head, sizeof head);
    uint64_t at = sizeof head, bytes = slot->bytes - sizeof head;
    switch ((enum sf_message_kind)head.kind) {
    case SF_MESSAGE_BYTES:
    case SF_MESSAGE_BYTEARRAY:
        object = head.kind == SF_MESSAGE_BYTES || want_bytes ? get_bytes(ring, slot, at, bytes)
                                                             : get_bytearray(ring, slot, at, bytes);
        sf_ring_release(ring, slot);
        return object;
    case SF_MESSAGE_PARTS:
        object = get_parts(ring, slot, head.count);
        break;
    default:
        object = get_pickled(ring, slot, at, bytes);
    }
    if (object && want_bytes) {
        PyErr_Format(PyExc_TypeError, "the message is a %.200s, not bytes: it was sent by send_pyobj, use receive_pyobj",
                     Py_TYPE(object)->tp_name);
        Py_CLEAR(object);
    }
    return object;
}
