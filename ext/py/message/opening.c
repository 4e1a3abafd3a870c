/* Opening messages that are in a ring. See message.h. */
#include <assert.h>
#include <string.h>

#include "py/message/incoming.h"
#include "py/message/integers.h"
#include "py/message/message.h"
#include "py/message/pickle.h"

#define SHORT_BYTES (64u << 10) /* a copy of less takes no longer than releasing the interpreter lock */

/* Makes the object of a body that is a bytes or bytearray object of its own. Steals it. */
static PyObject *open_body(uint64_t label, PyObject *body)
{
    PyObject *object;
    switch (sf_message_kind_of(label)) {
    case SF_MESSAGE_BYTES:
    case SF_MESSAGE_BYTEARRAY:
        return body;
    case SF_MESSAGE_PLAIN:
        object = sf_plain_read(PyBytes_AS_STRING(body), (uint32_t)(label >> 32));
        break;
    default:
        object = sf_pickle_loads_bytes(body);
    }
    Py_DECREF(body);
    return object;
}

/* Most messages: they are short, and all their bytes go into one object. */
static PyObject *open_short(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, uint64_t label)
{
    bool array = sf_message_kind_of(label) == SF_MESSAGE_BYTEARRAY;
    Py_ssize_t bytes = (Py_ssize_t)(slot->bytes - at);
    PyObject *body = array ? PyByteArray_FromStringAndSize(NULL, bytes) : PyBytes_FromStringAndSize(NULL, bytes);
    if (!body)
        return NULL;
    sf_ring_get(ring, slot, at, array ? PyByteArray_AS_STRING(body) : PyBytes_AS_STRING(body), (uint64_t)bytes);
    return open_body(label, body);
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
    return open_short(ring, slot, at, label);
}

PyObject *sf_message_open(struct sf_ring *ring, const struct sf_ring_slot *slot, uint64_t at, bool want_bytes)
{
    uint64_t label, bytes = slot->bytes - at;
    char copy[SF_PLAIN_LABEL_BYTES + SF_PLAIN_FEW_BYTES]; /* a small plain object needs no other memory */
    assert(bytes >= sizeof label);
    sf_ring_get(ring, slot, at, copy, bytes <= sizeof copy ? bytes : sizeof label);
    memcpy(&label, copy, sizeof label);
    at += sizeof label;
    if (sf_message_kind_of(label) == SF_MESSAGE_PLAIN && bytes <= sizeof copy && !want_bytes)
        return sf_plain_read(copy + sizeof label, (uint32_t)(label >> 32));
    if (sf_message_kind_of(label) == SF_MESSAGE_INTEGERS)
        return sf_integers_open(ring, slot, at);
    if (want_bytes && sf_message_kind_of(label) == SF_MESSAGE_BYTEARRAY)
        label = sf_message_label(SF_MESSAGE_BYTES, 0);
    PyObject *object = open_any(ring, slot, at, label);
    if (object && want_bytes && !PyBytes_CheckExact(object)) {
        PyErr_Format(PyExc_TypeError,
                     "the message is a %.200s, not bytes: it was sent by send_pyobj, use receive_pyobj",
                     Py_TYPE(object)->tp_name);
        Py_CLEAR(object);
    }
    return object;
}
