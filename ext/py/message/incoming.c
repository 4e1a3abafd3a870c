/* Messages that come in. See incoming.h.
 *
 * Invariants: filled <= total. next and room are of the part that byte number `filled` belongs to: the table, the body,
 * or a block. Parts without bytes are passed at once, so room is 0 only when all is there. */
#include "py/message/incoming.h"

#include <assert.h>
#include <string.h>

#include "core/log/log.h"
#include "core/os/shm.h"
#include "py/message/array.h"
#include "py/message/message.h"
#include "py/message/pickle.h"
#include "py/trace/stretch.h"

static Py_ssize_t count_of(const struct sf_incoming *incoming)
{
    return (Py_ssize_t)(incoming->label >> 32);
}

/* The bytes of a buffer that are in the message. */
static uint64_t bytes_here(uint64_t word)
{
    return word & SF_MESSAGE_TAKEN ? 0 : word & SF_MESSAGE_BUFFER_BYTES;
}

static void go_on_at(struct sf_incoming *incoming, char *next, uint64_t room)
{
    incoming->next = next;
    incoming->room = room;
    sf_shm_will_fill(next, room);
}

static PyObject *new_body(bool array, uint64_t bytes)
{
    return array ? PyByteArray_FromStringAndSize(NULL, (Py_ssize_t)bytes)
                 : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)bytes);
}

/* An array of the next buffer that went ahead of the message. */
static PyObject *new_taken(struct sf_incoming *incoming, uint64_t bytes)
{
    void *memory = sf_taken_next(incoming->taken, bytes);
    if (!memory)
        return PyErr_Format(PyExc_RuntimeError, "a message arrived without an array of %llu bytes that belongs to it",
                            (unsigned long long)bytes);
    PyObject *array = sf_array_of(memory);
    if (!array)
        sf_taken_put_back(incoming->taken, memory);
    return array;
}

static PyObject *new_block(struct sf_incoming *incoming, uint64_t word, char **memory)
{
    uint64_t bytes = word & SF_MESSAGE_BUFFER_BYTES;
    if (word & SF_MESSAGE_TAKEN)
        return new_taken(incoming, bytes);
    if (word & SF_MESSAGE_ARRAY)
        return sf_array_new(bytes, memory);
    bool writable = !(word & SF_MESSAGE_READ_ONLY);
    PyObject *block = new_body(writable, bytes);
    if (block)
        *memory = writable ? PyByteArray_AS_STRING(block) : PyBytes_AS_STRING(block);
    return block;
}

/* Begins the next block. 0, or -1 with an exception. */
static int begin_block(struct sf_incoming *incoming)
{
    Py_ssize_t number = PyList_GET_SIZE(incoming->blocks);
    char *memory = NULL;
    PyObject *block = new_block(incoming, incoming->table[number], &memory);
    int failed = block ? PyList_Append(incoming->blocks, block) : -1;
    Py_XDECREF(block);
    if (!failed)
        go_on_at(incoming, memory, bytes_here(incoming->table[number]));
    return failed;
}

/* The bytes of the message that are neither label nor table nor buffers. */
static uint64_t body_bytes(const struct sf_incoming *incoming)
{
    uint64_t bytes = incoming->total - SF_MESSAGE_LABEL_BYTES;
    for (Py_ssize_t i = 0; incoming->table && i < count_of(incoming); i++)
        bytes -= sizeof *incoming->table + bytes_here(incoming->table[i]);
    return bytes;
}

/* Whether the body is freed when the object is there. */
static bool is_pickle(const struct sf_incoming *incoming)
{
    enum sf_message_kind kind = sf_message_kind_of(incoming->label);
    return kind == SF_MESSAGE_PICKLE || kind == SF_MESSAGE_PLAIN;
}

static int begin_body(struct sf_incoming *incoming)
{
    bool array = sf_message_kind_of(incoming->label) == SF_MESSAGE_BYTEARRAY;
    uint64_t bytes = body_bytes(incoming);
    incoming->body = is_pickle(incoming) ? sf_pickle_new_bytes(bytes) : new_body(array, bytes);
    if (!incoming->body)
        return -1;
    go_on_at(incoming, array ? PyByteArray_AS_STRING(incoming->body) : PyBytes_AS_STRING(incoming->body), bytes);
    return 0;
}

static int begin_table(struct sf_incoming *incoming)
{
    size_t count = (size_t)count_of(incoming);
    incoming->table = PyMem_Calloc(count, sizeof *incoming->table);
    incoming->blocks = PyList_New(0);
    if (!incoming->table || !incoming->blocks) {
        PyErr_NoMemory();
        return -1;
    }
    go_on_at(incoming, (char *)incoming->table, count * sizeof *incoming->table);
    return 0;
}

static void drop_message(struct sf_incoming *incoming)
{
    PyMem_Free(incoming->table);
    if (incoming->body && is_pickle(incoming))
        sf_pickle_drop_bytes(incoming->body);
    else
        Py_XDECREF(incoming->body);
    Py_XDECREF(incoming->blocks);
    *incoming = (struct sf_incoming){.taken = incoming->taken};
}

int sf_incoming_begin(struct sf_incoming *incoming, uint64_t label, uint64_t total)
{
    assert(total >= SF_MESSAGE_LABEL_BYTES);
    drop_message(incoming);
    incoming->label = label;
    incoming->total = total;
    incoming->filled = SF_MESSAGE_LABEL_BYTES;
    int failed = sf_message_kind_of(label) == SF_MESSAGE_PARTS ? begin_table(incoming) : begin_body(incoming);
    if (failed)
        drop_message(incoming);
    return failed;
}

char *sf_incoming_next(const struct sf_incoming *incoming, uint64_t *room)
{
    *room = incoming->room;
    return incoming->room ? incoming->next : NULL;
}

static bool is_last_part(const struct sf_incoming *incoming)
{
    return !incoming->blocks || (incoming->body && PyList_GET_SIZE(incoming->blocks) == count_of(incoming));
}

int sf_incoming_advance(struct sf_incoming *incoming, uint64_t bytes)
{
    assert(bytes <= incoming->room);
    incoming->next += bytes;
    incoming->room -= bytes;
    incoming->filled += bytes;
    int failed = 0;
    while (!failed && incoming->room == 0 && !is_last_part(incoming))
        failed = incoming->body ? begin_block(incoming) : begin_body(incoming);
    return failed;
}

int sf_incoming_take(struct sf_incoming *incoming, struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at,
                     uint64_t bytes)
{
    uint64_t room, from = sf_stretch_begin(bytes), taken = 0;
    int failed = 0;
    for (char *to; !failed && taken < bytes && (to = sf_incoming_next(incoming, &room)) != NULL; taken += room) {
        room = room < bytes - taken ? room : bytes - taken;
        if (room < SF_MESSAGE_UNLOCKED_BYTES) {
            sf_ring_get(ring, slot, at + taken, to, room);
        } else {
            Py_BEGIN_ALLOW_THREADS;
            sf_ring_get(ring, slot, at + taken, to, room);
            Py_END_ALLOW_THREADS;
        }
        failed = sf_incoming_advance(incoming, room);
    }
    sf_log_stretch(SF_EVENT_COPIED, from, bytes);
    /* memory for a block may begin a garbage collection, which may fork */
    if (!failed && !sf_ring_is_holder(ring, slot)) {
        PyErr_SetString(PyExc_RuntimeError, "this process was forked while a message was copied: it is its parent's");
        failed = -1;
    }
    return failed;
}

static bool has_arrays(const struct sf_incoming *incoming)
{
    for (Py_ssize_t i = 0; i < count_of(incoming); i++)
        if (incoming->table[i] & SF_MESSAGE_ARRAY)
            return true;
    return false;
}

static PyObject *read_plain(PyObject *body, uint32_t count, uint64_t bytes)
{
    uint64_t from = sf_log_stretch_begin();
    PyObject *object = sf_plain_read(PyBytes_AS_STRING(body), count);
    sf_log_stretch(SF_EVENT_PICKLED, from, bytes);
    return object;
}

PyObject *sf_incoming_open(struct sf_incoming *incoming)
{
    bool again = incoming->opened;
    assert(incoming->body && incoming->filled == incoming->total);
    incoming->opened = true;
    enum sf_message_kind kind = sf_message_kind_of(incoming->label);
    bool arrays = kind == SF_MESSAGE_PARTS && (again || has_arrays(incoming));
    uint64_t bytes = body_bytes(incoming);
    uint32_t count = (uint32_t)count_of(incoming);
    /* what unpickling calls may clear the message */
    PyObject *body = Py_NewRef(incoming->body), *blocks = Py_XNewRef(incoming->blocks), *object;
    switch (kind) {
    case SF_MESSAGE_BYTES:
    case SF_MESSAGE_BYTEARRAY:
        object = Py_NewRef(body);
        break;
    case SF_MESSAGE_PLAIN:
        object = read_plain(body, count, bytes);
        break;
    case SF_MESSAGE_PARTS:
        object = arrays ? sf_pickle_loads_arrays(body, blocks, again) : sf_pickle_loads_buffers(body, blocks);
        break;
    default:
        object = sf_pickle_loads_begin(body, bytes);
    }
    Py_DECREF(body);
    Py_XDECREF(blocks);
    return object;
}

PyObject *sf_incoming_open_singly(struct sf_incoming *incoming)
{
    bool again = incoming->opened;
    incoming->opened = true;
    assert(sf_message_runs_code(incoming->label));
    PyObject *body = Py_NewRef(incoming->body);
    PyObject *buffers = incoming->blocks ? Py_NewRef(incoming->blocks) : PyTuple_New(0);
    PyObject *module = buffers ? PyImport_ImportModule("snakefish._block") : NULL;
    PyObject *both = module ? PyObject_CallMethod(module, "open_singly", "OOO", body, buffers,
                                                  again && incoming->blocks ? Py_True : Py_False)
                            : NULL;
    Py_XDECREF(module);
    Py_XDECREF(buffers);
    Py_DECREF(body);
    return both;
}

void sf_incoming_clear(struct sf_incoming *incoming)
{
    drop_message(incoming);
    sf_taken_clear(&incoming->taken);
}
