/* Messages: packing and opening. See message.h for the layout. */
#include "py/message/message.h"

#include <assert.h>
#include <string.h>

#include "core/log/log.h"
#include "core/os/shm.h"
#include "py/message/pickle.h"
#include "py/trace/stretch.h"

/* From this size on a copy takes longer than releasing the interpreter lock and taking it again. */
#define UNLOCKED_BYTES (64u << 10)
/* From this size on a copy takes longer than giving pickle a memoryview of the ring. */
#define IN_PLACE_BYTES (8u << 10)
#define HEAD_BYTES sizeof(uint64_t)
#define BUFFER_ALIGN 16u /* of out-of-band buffers: what malloc gives, and numpy expects */

static PyObject *name_append;

int sf_message_init(void)
{
    name_append = PyUnicode_InternFromString("append");
    return name_append ? 0 : -1;
}

static uint64_t head_of(enum sf_message_kind kind, Py_ssize_t count)
{
    return (uint64_t)kind | (uint64_t)count << 32;
}

static enum sf_message_kind kind_of(uint64_t head)
{
    return (enum sf_message_kind)(uint32_t)head;
}

/* ---- packing ---- */

static void set_body(struct sf_message *message, enum sf_message_kind kind, void *body, size_t bytes)
{
    message->head = head_of(kind, 0);
    message->pair[0] = (struct iovec){&message->head, HEAD_BYTES};
    message->pair[1] = (struct iovec){body, bytes};
    message->parts = message->pair;
    message->count = 2;
    message->bytes = HEAD_BYTES + bytes;
}

static int pack_view(struct sf_message *message, enum sf_message_kind kind, PyObject *object)
{
    if (PyObject_GetBuffer(object, &message->body, PyBUF_ANY_CONTIGUOUS))
        return -1;
    set_body(message, kind, message->body.buf, (size_t)message->body.len);
    return 0;
}

static void clear(struct sf_message *message)
{
    memset(message, 0, offsetof(struct sf_message, plain));
    message->plain.data = message->plain.first;
}

int sf_message_pack_buffer(struct sf_message *message, PyObject *object)
{
    clear(message);
    return pack_view(message, SF_MESSAGE_BYTES, object);
}

static void add_part(struct sf_message *message, const void *data, uint64_t bytes)
{
    message->parts[message->count++] = (struct iovec){(void *)data, bytes};
    message->bytes += bytes;
}

/* The pickle is in message->body: adds the table before it and the buffers behind it. */
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
    message->table[1] = (uint64_t)message->body.len;
    add_part(message, message->table, ((uint64_t)count + 2) * sizeof *message->table);
    add_part(message, message->body.buf, (uint64_t)message->body.len);
    for (; message->viewed < count; message->viewed++) {
        Py_buffer *view = &message->views[message->viewed];
        if (PyObject_GetBuffer(PyList_GET_ITEM(message->buffers, message->viewed), view, PyBUF_ANY_CONTIGUOUS))
            return -1;
        message->table[2 + message->viewed] = (uint64_t)view->len;
        add_part(message, padding, -message->bytes % BUFFER_ALIGN);
        add_part(message, view->buf, (uint64_t)view->len);
    }
    return 0;
}

static int pack_pickle(struct sf_message *message, PyObject *object)
{
    message->buffers = PyList_New(0);
    PyObject *callback = message->buffers ? PyObject_GetAttr(message->buffers, name_append) : NULL;
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
    set_body(message, SF_MESSAGE_PLAIN, message->plain.data, message->plain.bytes);
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
    if (message->bytes < UNLOCKED_BYTES) {
        copy_in(message, ring, slot);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        copy_in(message, ring, slot);
        Py_END_ALLOW_THREADS;
    }
}

void sf_message_fini(struct sf_message *message)
{
    for (Py_ssize_t i = 0; i < message->viewed; i++)
        PyBuffer_Release(&message->views[i]);
    PyMem_Free(message->views);
    PyMem_Free(message->table);
    if (message->parts != message->pair)
        PyMem_Free(message->parts);
    if (message->body.obj)
        PyBuffer_Release(&message->body);
    Py_XDECREF(message->buffers);
    sf_plain_fini(&message->plain);
}

/* ---- opening ---- */

static void copy_out(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, char *to, uint64_t bytes)
{
    uint64_t from = sf_stretch_begin(bytes);
    if (bytes < UNLOCKED_BYTES) {
        sf_ring_get(ring, slot, at, to, bytes);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        sf_shm_will_fill(to, bytes);
        sf_ring_get(ring, slot, at, to, bytes);
        Py_END_ALLOW_THREADS;
    }
    sf_log_stretch(SF_EVENT_COPIED, from, bytes);
}

static PyObject *new_object(bool array, uint64_t bytes)
{
    return array ? PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)bytes)
                 : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
}

/* A bytes or bytearray object with these bytes of the slot. */
static PyObject *copy_out_object(bool array, struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at,
                                 uint64_t bytes)
{
    PyObject *object = new_object(array, bytes);
    if (object)
        copy_out(ring, slot, at, array ? PyByteArray_AS_STRING(object) : PyBytes_AS_STRING(object), bytes);
    return object;
}

/* Unpickles `bytes` bytes at `at`: in place if they are many and contiguous in the ring, else from a copy. Releases the
 * slot. */
static PyObject *open_pickle(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t bytes)
{
    uint64_t run = 0;
    void *place = sf_ring_at(ring, slot, at, &run);
    PyObject *object;
    if (bytes >= IN_PLACE_BYTES && run >= bytes) {
        object = sf_pickle_loads(place, (Py_ssize_t)bytes);
        sf_ring_release(ring, slot);
    } else {
        PyObject *copy = copy_out_object(false, ring, slot, at, bytes);
        sf_ring_release(ring, slot);
        object = copy ? sf_pickle_loads_bytes(copy) : NULL;
        Py_XDECREF(copy);
    }
    return object;
}

/* Reads a plain object: a small one from a copy, so that the slot is free sooner. Releases the slot. */
static PyObject *open_plain(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t bytes)
{
    char small[SF_PLAIN_FEW_BYTES], *copy = small;
    uint64_t run = 0, from = sf_stretch_begin(bytes);
    const void *place = sf_ring_at(ring, slot, at, &run);
    PyObject *object;
    if (bytes > sizeof small && run >= bytes) {
        object = sf_plain_read(place);
        sf_ring_release(ring, slot);
    } else {
        if (bytes > sizeof small)
            copy = PyMem_Malloc(bytes);
        if (copy)
            sf_ring_get(ring, slot, at, copy, bytes);
        sf_ring_release(ring, slot);
        object = copy ? sf_plain_read(copy) : PyErr_NoMemory();
        if (copy != small)
            PyMem_Free(copy);
    }
    sf_log_stretch(SF_EVENT_PICKLED, from, bytes);
    return object;
}

static PyObject *slice(PyObject *view, uint64_t from, uint64_t bytes)
{
    return PySequence_GetSlice(view, (Py_ssize_t)from, (Py_ssize_t)(from + bytes));
}

/* Makes an object from a pickle and its out-of-band buffers. A new reference, or NULL with an exception. */
typedef PyObject *loader(PyObject *pickle, PyObject *buffers);

/* Opens a PARTS message that was copied into a bytearray. Its buffers are views of the array: writable, as their
 * originals were. */
static PyObject *open_parts(PyObject *array, loader *load)
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
        object = load(pickle, buffers);
    Py_XDECREF(pickle);
    Py_XDECREF(buffers);
    Py_XDECREF(view);
    return object;
}

PyObject *sf_message_open(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, bool want_bytes)
{
    assert(slot->bytes >= at + HEAD_BYTES);
    uint64_t head, bytes = slot->bytes - at - HEAD_BYTES;
    PyObject *object, *array;
    sf_ring_get(ring, slot, at, &head, sizeof head);
    switch (kind_of(head)) {
    case SF_MESSAGE_BYTES:
    case SF_MESSAGE_BYTEARRAY:
        object =
            copy_out_object(kind_of(head) == SF_MESSAGE_BYTEARRAY && !want_bytes, ring, slot, at + HEAD_BYTES, bytes);
        sf_ring_release(ring, slot);
        return object;
    case SF_MESSAGE_PARTS:
        array = copy_out_object(true, ring, slot, at, slot->bytes - at);
        sf_ring_release(ring, slot);
        object = array ? open_parts(array, sf_pickle_loads_buffers) : NULL;
        Py_XDECREF(array);
        break;
    case SF_MESSAGE_PLAIN:
        object = open_plain(ring, slot, at + HEAD_BYTES, bytes);
        break;
    default:
        object = open_pickle(ring, slot, at + HEAD_BYTES, bytes);
    }
    if (object && want_bytes) {
        PyErr_Format(PyExc_TypeError,
                     "the message is a %.200s, not bytes: it was sent by send_pyobj, use receive_pyobj",
                     Py_TYPE(object)->tp_name);
        Py_CLEAR(object);
    }
    return object;
}

PyObject *sf_message_gather(uint64_t head, uint64_t total, uint64_t *skipped)
{
    bool parts = kind_of(head) == SF_MESSAGE_PARTS;
    *skipped = parts ? 0 : HEAD_BYTES;
    assert(total >= *skipped);
    return new_object(parts || kind_of(head) == SF_MESSAGE_BYTEARRAY, total - *skipped);
}

PyObject *sf_message_open_gathered(uint64_t head, PyObject *gathered)
{
    PyObject *object;
    uint64_t from = sf_log_stretch_begin();
    switch (kind_of(head)) {
    case SF_MESSAGE_BYTES:
    case SF_MESSAGE_BYTEARRAY:
        return gathered;
    case SF_MESSAGE_PARTS:
        object = open_parts(gathered, sf_pickle_loads_buffers);
        break;
    case SF_MESSAGE_PLAIN:
        object = sf_plain_read(PyBytes_AS_STRING(gathered));
        sf_log_stretch(SF_EVENT_PICKLED, from, (uint64_t)PyBytes_GET_SIZE(gathered));
        break;
    default:
        object = sf_pickle_loads_bytes(gathered);
    }
    Py_DECREF(gathered);
    return object;
}

bool sf_message_runs_code(uint64_t head)
{
    return kind_of(head) == SF_MESSAGE_PICKLE || kind_of(head) == SF_MESSAGE_PARTS;
}

/* A loader for the pickle of a list. */
static PyObject *load_singly(PyObject *pickle, PyObject *buffers)
{
    PyObject *module = PyImport_ImportModule("snakefish._block");
    PyObject *both = module ? PyObject_CallMethod(module, "open_singly", "OO", pickle, buffers) : NULL;
    Py_XDECREF(module);
    return both;
}

PyObject *sf_message_open_singly(uint64_t head, PyObject *gathered)
{
    assert(sf_message_runs_code(head));
    if (kind_of(head) == SF_MESSAGE_PARTS)
        return open_parts(gathered, load_singly);
    PyObject *none = PyTuple_New(0), *both = none ? load_singly(gathered, none) : NULL;
    Py_XDECREF(none);
    return both;
}
