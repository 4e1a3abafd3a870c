/* Messages. See message.h. */
#include "py/message/message.h"

#include "core/log/log.h"
#include "core/os/shm.h"
#include "py/message/pickle.h"

#include <string.h>

#define ALONE_BYTES (64u << 10)   /* from here on a copy takes longer than giving up the interpreter lock */
#define IN_PLACE_BYTES (8u << 10) /* from here on a copy takes longer than looking at memory that is not Python's \ */
#define HEAD_BYTES sizeof(uint64_t)
#define BUFFER_ALIGN 16u /* of out-of-band buffers: what malloc gives, and numpy wants */

static PyObject *append; /* "append" */

int sf_message_init(void)
{
    append = PyUnicode_InternFromString("append");
    return append ? 0 : -1;
}

static uint64_t head_of(enum sf_message_kind kind, Py_ssize_t count)
{
    return (uint64_t)kind | (uint64_t)count << 32;
}

/* ---- sending ---- */

static void put_together(struct sf_message *message, enum sf_message_kind kind, void *body, size_t bytes)
{
    message->head = head_of(kind, 0);
    message->few[0] = (struct iovec){&message->head, HEAD_BYTES};
    message->few[1] = (struct iovec){body, bytes};
    message->parts = message->few;
    message->count = 2;
    message->bytes = HEAD_BYTES + bytes;
}

static int pack_view(struct sf_message *message, enum sf_message_kind kind, PyObject *object)
{
    if (PyObject_GetBuffer(object, &message->one, PyBUF_ANY_CONTIGUOUS))
        return -1;
    put_together(message, kind, message->one.buf, (size_t)message->one.len);
    return 0;
}

static void start(struct sf_message *message)
{
    memset(message, 0, offsetof(struct sf_message, plain));
    message->plain.data = message->plain.first;
}

int sf_message_pack_buffer(struct sf_message *message, PyObject *object)
{
    start(message);
    return pack_view(message, SF_MESSAGE_BYTES, object);
}

static void add_part(struct sf_message *message, const void *data, uint64_t bytes)
{
    message->parts[message->count++] = (struct iovec){(void *)data, bytes};
    message->bytes += bytes;
}

/* The pickle is in message->one: adds the table before it and the buffers behind it. */
static int pack_buffers(struct sf_message *message)
{
    static const char padding[BUFFER_ALIGN];
    Py_ssize_t count = PyList_GET_SIZE(message->buffers);
    message->views = PyMem_Calloc((size_t)count, sizeof *message->views);
    message->table = PyMem_Calloc((size_t)count + 2, sizeof *message->table);
    message->parts = PyMem_Calloc((size_t)count * 2 + 2, sizeof *message->parts);
    if (!message->views || !message->table || !message->parts) {
        PyErr_NoMemory();
        return -1;
    }
    message->count = 0;
    message->bytes = 0;
    message->table[0] = head_of(SF_MESSAGE_PARTS, count);
    message->table[1] = (uint64_t)message->one.len;
    add_part(message, message->table, ((uint64_t)count + 2) * sizeof *message->table);
    add_part(message, message->one.buf, (uint64_t)message->one.len);
    for (; message->held < count; message->held++) {
        Py_buffer *view = &message->views[message->held];
        if (PyObject_GetBuffer(PyList_GET_ITEM(message->buffers, message->held), view, PyBUF_ANY_CONTIGUOUS))
            return -1;
        message->table[2 + message->held] = (uint64_t)view->len;
        add_part(message, padding, -message->bytes % BUFFER_ALIGN);
        add_part(message, view->buf, (uint64_t)view->len);
    }
    return 0;
}

int sf_message_pack(struct sf_message *message, PyObject *object)
{
    start(message);
    if (PyBytes_CheckExact(object))
        return pack_view(message, SF_MESSAGE_BYTES, object);
    if (PyByteArray_CheckExact(object))
        return pack_view(message, SF_MESSAGE_BYTEARRAY, object);
    uint64_t from = sf_log_stretch_begin();
    int plain = sf_plain_write(&message->plain, object);
    if (plain > 0)
        put_together(message, SF_MESSAGE_PLAIN, message->plain.data, message->plain.bytes);
    if (plain > 0 && message->bytes >= SF_STRETCH_LEAST_BYTES)
        sf_log_stretch(SF_EVENT_PICKLED, from, message->bytes);
    if (plain != 0)
        return plain > 0 ? 0 : -1;
    message->buffers = PyList_New(0);
    PyObject *callback = message->buffers ? PyObject_GetAttr(message->buffers, append) : NULL;
    PyObject *pickle = callback ? sf_pickle_dumps_buffers(object, callback) : NULL;
    Py_XDECREF(callback);
    if (!pickle)
        return -1;
    int failed = pack_view(message, SF_MESSAGE_PICKLE, pickle); /* the view holds the bytes object */
    Py_DECREF(pickle);
    if (!failed && message->buffers && PyList_GET_SIZE(message->buffers))
        failed = pack_buffers(message);
    return failed;
}

void sf_message_put(const struct sf_message *message, struct sf_ring *ring, const struct sf_ring_slot *slot)
{
    uint64_t at = 0;
    for (int i = 0; i < message->count; i++) {
        sf_ring_put(ring, slot, at, message->parts[i].iov_base, message->parts[i].iov_len);
        at += message->parts[i].iov_len;
    }
}

void sf_message_fini(struct sf_message *message)
{
    for (Py_ssize_t i = 0; i < message->held; i++)
        PyBuffer_Release(&message->views[i]);
    PyMem_Free(message->views);
    PyMem_Free(message->table);
    if (message->parts != message->few)
        PyMem_Free(message->parts);
    if (message->one.obj)
        PyBuffer_Release(&message->one);
    Py_XDECREF(message->buffers);
    sf_plain_fini(&message->plain);
}

/* ---- receiving ---- */

static void get(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, char *to, uint64_t bytes)
{
    uint64_t from = sf_stretch_begin(bytes);
    if (bytes < ALONE_BYTES) {
        sf_ring_get(ring, slot, at, to, bytes);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        sf_shm_will_fill(to, bytes);
        sf_ring_get(ring, slot, at, to, bytes);
        Py_END_ALLOW_THREADS;
    }
    sf_log_stretch(SF_EVENT_COPIED, from, bytes);
}

/* A bytes or bytearray object with these bytes of the slot. */
static PyObject *get_object(bool array, struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at,
                            uint64_t bytes)
{
    PyObject *object = array ? PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)bytes)
                             : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
    if (object)
        get(ring, slot, at, array ? PyByteArray_AS_STRING(object) : PyBytes_AS_STRING(object), bytes);
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
        PyObject *copy = get_object(false, ring, slot, at, bytes);
        sf_ring_release(ring, slot);
        object = copy ? sf_pickle_loads_bytes(copy) : NULL;
        Py_XDECREF(copy);
    }
    return object;
}

/* Reads a plain object: a small one from a copy, so that the slot is free the sooner. Releases the slot. */
static PyObject *get_plain(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t bytes)
{
    char few[SF_PLAIN_FEW_BYTES], *copy = few;
    uint64_t run = 0, from = sf_stretch_begin(bytes);
    const void *place = sf_ring_at(ring, slot, at, &run);
    PyObject *object;
    if (bytes > sizeof few && run >= bytes) {
        object = sf_plain_read(place);
        sf_ring_release(ring, slot);
    } else {
        if (bytes > sizeof few)
            copy = PyMem_Malloc(bytes);
        if (copy)
            sf_ring_get(ring, slot, at, copy, bytes);
        sf_ring_release(ring, slot);
        object = copy ? sf_plain_read(copy) : PyErr_NoMemory();
        if (copy != few)
            PyMem_Free(copy);
    }
    sf_log_stretch(SF_EVENT_PICKLED, from, bytes);
    return object;
}

static PyObject *slice(PyObject *view, uint64_t from, uint64_t bytes)
{
    return PySequence_GetSlice(view, (Py_ssize_t)from, (Py_ssize_t)(from + bytes));
}

/* Opens a PARTS message that stands in a bytearray. The buffers stay in it: writable, as their originals were. */
static PyObject *open_parts(PyObject *array)
{
    uint64_t size, head, at;
    const char *start = PyByteArray_AS_STRING(array);
    memcpy(&head, start, sizeof head);
    Py_ssize_t count = (Py_ssize_t)(head >> 32);
    memcpy(&size, start + sizeof head, sizeof size);
    at = (uint64_t)(count + 2) * sizeof head;
    PyObject *view = PyMemoryView_FromObject(array), *pickle = view ? slice(view, at, size) : NULL;
    PyObject *buffers = PyList_New(0), *object = NULL;
    at += size;
    for (Py_ssize_t i = 0; i < count && pickle && buffers; i++) {
        memcpy(&size, start + (2 + (size_t)i) * sizeof size, sizeof size);
        at += -at % BUFFER_ALIGN;
        PyObject *buffer = slice(view, at, size);
        at += size;
        if (!buffer || PyList_Append(buffers, buffer))
            Py_CLEAR(buffers);
        Py_XDECREF(buffer);
    }
    if (pickle && buffers)
        object = sf_pickle_loads_buffers(pickle, buffers);
    Py_XDECREF(pickle);
    Py_XDECREF(buffers);
    Py_XDECREF(view);
    return object;
}

PyObject *sf_message_open(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, bool want_bytes)
{
    uint64_t head, bytes = slot->bytes - at - HEAD_BYTES;
    PyObject *object, *array;
    sf_ring_get(ring, slot, at, &head, sizeof head);
    switch ((enum sf_message_kind)(uint32_t)head) {
    case SF_MESSAGE_BYTES:
    case SF_MESSAGE_BYTEARRAY:
        object = get_object((uint32_t)head == SF_MESSAGE_BYTEARRAY && !want_bytes, ring, slot, at + HEAD_BYTES, bytes);
        sf_ring_release(ring, slot);
        return object;
    case SF_MESSAGE_PARTS:
        array = get_object(true, ring, slot, at, slot->bytes - at);
        sf_ring_release(ring, slot);
        object = array ? open_parts(array) : NULL;
        Py_XDECREF(array);
        break;
    case SF_MESSAGE_PLAIN:
        object = get_plain(ring, slot, at + HEAD_BYTES, bytes);
        break;
    default:
        object = get_pickled(ring, slot, at + HEAD_BYTES, bytes);
    }
    if (object && want_bytes) {
        PyErr_Format(PyExc_TypeError,
                     "the message is a %.200s, not bytes: it was sent by send_pyobj, use receive_pyobj",
                     Py_TYPE(object)->tp_name);
        Py_CLEAR(object);
    }
    return object;
}

/* ---- arriving in pieces ---- */

static int begin(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                 const struct sf_ring_slot *slot)
{
    uint64_t message_head;
    sf_stream_copy(ring, slot, 0, &message_head, sizeof message_head);
    arrival->kind = (uint32_t)message_head;
    bool parts = arrival->kind == SF_MESSAGE_PARTS;
    arrival->skipped = parts ? 0 : HEAD_BYTES;
    Py_ssize_t bytes = (Py_ssize_t)(head->total - arrival->skipped);
    arrival->target = parts || arrival->kind == SF_MESSAGE_BYTEARRAY ? PyByteArray_FromStringAndSize(NULL, bytes)
                                                                     : PyBytes_FromStringAndSize(NULL, bytes);
    return arrival->target ? 0 : -1;
}

static PyObject *finish(struct sf_arrival *arrival)
{
    PyObject *target = arrival->target, *object;
    uint64_t from = sf_log_stretch_begin();
    arrival->target = NULL;
    if (arrival->kind == SF_MESSAGE_BYTES || arrival->kind == SF_MESSAGE_BYTEARRAY)
        return target;
    object = arrival->kind == SF_MESSAGE_PARTS   ? open_parts(target)
             : arrival->kind == SF_MESSAGE_PLAIN ? sf_plain_read(PyBytes_AS_STRING(target))
                                                 : sf_pickle_loads_bytes(target);
    if (arrival->kind == SF_MESSAGE_PLAIN)
        sf_log_stretch(SF_EVENT_PICKLED, from, (uint64_t)PyBytes_GET_SIZE(target));
    Py_DECREF(target);
    return object;
}

int sf_arrival_take(struct sf_arrival *arrival, struct sf_ring *ring, const struct sf_stream_head *head,
                    const struct sf_ring_slot *slot, uint64_t bytes, PyObject **object)
{
    if (bytes == head->total) { /* all in one piece: opened where it stands */
        *object = sf_message_open(ring, slot, sizeof *head, false);
        return 1;
    }
    if (head->offset == 0 && begin(arrival, ring, head, slot)) {
        sf_ring_release(ring, slot);
        return -1;
    }
    if (!arrival->target) {
        sf_ring_release(ring, slot);
        PyErr_SetString(PyExc_RuntimeError, "a piece of a message came without its beginning");
        return -1;
    }
    uint64_t from = head->offset == 0 ? arrival->skipped : 0;
    char *target = PyBytes_CheckExact(arrival->target) ? PyBytes_AS_STRING(arrival->target)
                                                       : PyByteArray_AS_STRING(arrival->target);
    char *to = target + head->offset + from - arrival->skipped;
    uint64_t from_tsc = sf_log_stretch_begin();
    Py_BEGIN_ALLOW_THREADS;
    if (head->offset == 0)
        sf_shm_will_fill(target, head->total);
    sf_stream_copy(ring, slot, from, to, bytes - from);
    Py_END_ALLOW_THREADS;
    sf_log_stretch(SF_EVENT_COPIED, from_tsc, bytes - from);
    sf_ring_release(ring, slot);
    if (head->offset + bytes < head->total)
        return 0;
    *object = finish(arrival);
    return 1;
}

void sf_arrival_clear(struct sf_arrival *arrival)
{
    Py_CLEAR(arrival->target);
}
