/* Outcomes out of the result memory. See packed.h.
 *
 * Invariant: the bytes of the message before `filled` are where they belong; they may be gone from the memory. */
#include "py/task/packed.h"

#include "core/log/log.h"
#include "py/base/errors.h"
#include "py/message/message.h"
#include "py/trace/stretch.h"

/* From this size on a copy takes longer than releasing the interpreter lock and taking it again. */
#define UNLOCKED_BYTES (64u << 10)

/* Copies some of the next `bytes` bytes. Returns how many, or -errno. */
static int64_t copy(struct sf_result_memory *memory, uint64_t offset, uint64_t bytes, char *to)
{
    int64_t copied;
    if (bytes < UNLOCKED_BYTES)
        return sf_result_memory_take(memory, offset, bytes, to);
    Py_BEGIN_ALLOW_THREADS;
    copied = sf_result_memory_take(memory, offset, bytes, to);
    Py_END_ALLOW_THREADS;
    return copied;
}

/* 0, or -1 with an exception. */
static int fill(struct sf_incoming *packed, struct sf_result_memory *memory, const struct sf_result_part *part)
{
    uint64_t room;
    int failed = sf_incoming_advance(packed, 0); /* where the last call lacked memory for what comes next */
    for (char *to; !failed && (to = sf_incoming_next(packed, &room)) != NULL;) {
        int64_t copied = copy(memory, part->offset + packed->filled, room, to);
        if (copied < 0) {
            sf_error((int)copied, "cannot take the child's result");
            return -1;
        }
        failed = sf_incoming_advance(packed, (uint64_t)copied);
    }
    return failed;
}

int sf_packed_take(struct sf_incoming *packed, struct sf_result_memory *memory, const struct sf_result_part *part)
{
    if (part->bytes < SF_MESSAGE_LABEL_BYTES) {
        PyErr_SetString(PyExc_RuntimeError, "the child's result is damaged");
        return -1;
    }
    if (!packed->total && sf_incoming_begin(packed, part->head, part->bytes))
        return -1;
    uint64_t from = sf_stretch_begin(part->bytes);
    int failed = fill(packed, memory, part);
    sf_log_stretch(SF_EVENT_COPIED, from, part->bytes);
    return failed;
}
