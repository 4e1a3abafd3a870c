/* Outcomes out of the result memory. See packed.h.
 *
 * Invariant: the bytes of the message before `filled` are where they belong; they may be gone from the memory. */
#include "py/task/packed.h"

#include "core/log/log.h"
#include "core/os/shm.h"
#include "py/base/errors.h"
#include "py/message/message.h"
#include "py/trace/stretch.h"

/* From this size on a copy takes longer than releasing the interpreter lock and taking it again. */
#define UNLOCKED_BYTES (64u << 10)

static char *start_of(PyObject *bytes)
{
    return PyBytes_CheckExact(bytes) ? PyBytes_AS_STRING(bytes) : PyByteArray_AS_STRING(bytes);
}

static int begin(struct sf_packed *packed, const struct sf_result_part *part)
{
    if (part->bytes < sizeof part->head) {
        PyErr_SetString(PyExc_RuntimeError, "the child's result is damaged");
        return -1;
    }
    packed->bytes = sf_message_gather(part->head, part->bytes, &packed->skipped);
    packed->head = part->head;
    packed->filled = packed->skipped;
    return packed->bytes ? 0 : -1;
}

/* 0 or -errno. */
static int fill(struct sf_packed *packed, struct sf_result_memory *memory, const struct sf_result_part *part)
{
    char *to = start_of(packed->bytes) + (packed->filled - packed->skipped);
    sf_shm_will_fill(to, part->bytes - packed->filled);
    while (packed->filled < part->bytes) {
        int64_t taken = sf_result_memory_take(memory, part->offset + packed->filled, part->bytes - packed->filled, to);
        if (taken < 0)
            return (int)taken;
        packed->filled += (uint64_t)taken;
        to += taken;
    }
    return 0;
}

int sf_packed_take(struct sf_packed *packed, struct sf_result_memory *memory, const struct sf_result_part *part)
{
    int error;
    uint64_t from = sf_stretch_begin(part->bytes);
    if (!packed->bytes && begin(packed, part))
        return -1;
    if (part->bytes < UNLOCKED_BYTES) {
        error = fill(packed, memory, part);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        error = fill(packed, memory, part);
        Py_END_ALLOW_THREADS;
    }
    sf_log_stretch(SF_EVENT_COPIED, from, part->bytes);
    if (error)
        sf_error(error, "cannot take the child's result");
    return error ? -1 : 0;
}

PyObject *sf_packed_open(const struct sf_packed *packed)
{
    return sf_message_open_gathered(packed->head, Py_NewRef(packed->bytes)); /* steals it */
}

void sf_packed_clear(struct sf_packed *packed)
{
    Py_CLEAR(packed->bytes);
    packed->filled = 0;
}
