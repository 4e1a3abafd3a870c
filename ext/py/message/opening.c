/* Opening messages that are in a ring, or gathered in one object. See message.h. */
#include <assert.h>
#include <string.h>

#include "py/message/incoming.h"
#include "py/message/message.h"
#include "py/message/pickle.h"

#define SHORT_BYTES (64u << 10) /* a copy of less takes no longer than releasing the interpreter lock */

PyObject *sf_message_gather(uint64_t head, uint64_t total, uint64_t *skipped)
{
    enum sf_message_kind kind = sf_message_kind_of(head);
    *skipped = kind == SF_MESSAGE_PARTS ? 0 : SF_MESSAGE_LABEL_BYTES;
    assert(total >= *skipped);
    Py_ssize_t bytes = (Py_ssize_t)(total - *skipped);
    return kind == SF_MESSAGE_BYTEARRAY ? PyByteArray_FromStringAndSize(NULL, bytes)
                                        : PyBytes_FromStringAndSize(NULL, bytes);
}

static PyObject *open_gathered_parts(uint64_t label, PyObject *gathered)
{
    struct sf_incoming incoming = {.total = 0};
    uint64_t room;
    const char *from = PyBytes_AS_STRING(gathered) + SF_MESSAGE_LABEL_BYTES;
    int failed = sf_incoming_begin(&incoming, label, (uint64_t)PyBytes_GET_SIZE(gathered));
    for (char *to; !failed && (to = sf_incoming_next(&incoming, &room)) != NULL; from += room) {
        memcpy(to, from, room);
        failed = sf_incoming_advance(&incoming, room);
    }
    PyObject *object = failed ? NULL : sf_incoming_open(&incoming);
    sf_incoming_clear(&incoming);
    return object;
}

PyObject *sf_message_open_gathered(uint64_t head, PyObject *gathered)
{
    PyObject *object;
    switch (sf_message_kind_of(head)) {
    case SF_MESSAGE_BYTES:
    case SF_MESSAGE_BYTEARRAY:
        return gathered;
    case SF_MESSAGE_PARTS:
        object = open_gathered_parts(head, gathered);
        break;
    case SF_MESSAGE_PLAIN:
        object = sf_plain_read(PyBytes_AS_STRING(gathered), (uint32_t)(head >> 32));
        break;
    default:
        object = sf_pickle_loads_bytes(gathered);
    }
    Py_DECREF(gathered);
    return object;
}

/* A small plain object needs no memory for its pickle. */
static PyObject *open_small_plain(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t label)
{
    char copy[SF_PLAIN_FEW_BYTES];
    sf_ring_get(ring, slot, at, copy, slot->bytes - at);
    return sf_plain_read(copy, (uint32_t)(label >> 32));
}

/* Most messages: they are short, and all their bytes go into one object. */
static PyObject *open_short(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t label)
{
    uint64_t skipped, bytes = slot->bytes - at;
    PyObject *body = sf_message_gather(label, SF_MESSAGE_LABEL_BYTES + bytes, &skipped);
    if (!body)
        return NULL;
    assert(skipped == SF_MESSAGE_LABEL_BYTES);
    sf_ring_get(ring, slot, at, PyBytes_CheckExact(body) ? PyBytes_AS_STRING(body) : PyByteArray_AS_STRING(body),
                bytes);
    return sf_message_open_gathered(label, body);
}

static PyObject *open_long(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t label)
{
    struct sf_incoming incoming = {.total = 0};
    uint64_t bytes = slot->bytes - at;
    int failed = sf_incoming_begin(&incoming, label, SF_MESSAGE_LABEL_BYTES + bytes);
    if (!failed)
        failed = sf_incoming_take(&incoming, ring, slot, at, bytes);
    PyObject *object = failed ? NULL : sf_incoming_open(&incoming);
    sf_incoming_clear(&incoming);
    return object;
}

static PyObject *open_any(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t label)
{
    uint64_t bytes = slot->bytes - at;
    enum sf_message_kind kind = sf_message_kind_of(label);
    if (kind == SF_MESSAGE_PARTS || bytes >= SHORT_BYTES)
        return open_long(ring, slot, at, label);
    if (kind == SF_MESSAGE_PLAIN && bytes <= SF_PLAIN_FEW_BYTES)
        return open_small_plain(ring, slot, at, label);
    return open_short(ring, slot, at, label);
}

PyObject *sf_message_open(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, bool want_bytes)
{
    uint64_t label;
    assert(slot->bytes >= at + sizeof label);
    sf_ring_get(ring, slot, at, &label, sizeof label);
    at += sizeof label;
    if (want_bytes && sf_message_kind_of(label) == SF_MESSAGE_BYTEARRAY)
        label = sf_message_label(SF_MESSAGE_BYTES, 0);
    PyObject *object = open_any(ring, slot, at, label);
    sf_ring_release(ring, slot);
    if (object && want_bytes && !PyBytes_CheckExact(object)) {
        PyErr_Format(PyExc_TypeError,
                     "the message is a %.200s, not bytes: it was sent by send_pyobj, use receive_pyobj",
                     Py_TYPE(object)->tp_name);
        Py_CLEAR(object);
    }
    return object;
}
