/* Outcomes out of the result memory. See packed.h.
 *
 * The memory before the bytes that were taken may be gone, so taking goes on where it stopped. */
#include "py/task/packed.h"

#include "core/log/log.h"
#include "core/os/pid.h"
#include "py/base/errors.h"
#include "py/message/message.h"
#include "py/trace/stretch.h"

/* 0, or -1 with an exception. */
static int begin(struct sf_packed *packed, const struct sf_result_part *part)
{
    if (sf_packed_is_there(packed))
        return sf_incoming_advance(&packed->incoming, 0);
    if (part->bytes >= SF_MESSAGE_LABEL_BYTES)
        return sf_incoming_begin(&packed->incoming, part->head, part->bytes);
    PyErr_SetString(PyExc_RuntimeError, "the child's result is damaged");
    return -1;
}

/* Making room for a part of the message may run code of the program, as a garbage collection or a signal handler, which
 * may fork. The process that it makes must not take: that would free what its parent has not copied yet. 0, or -1 with
 * an exception. */
static int check_owner(const struct sf_result_memory *memory)
{
    if (memory->owner == sf_pid_own())
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "this process was forked while a result was taken: it is its parent's");
    return -1;
}

/* Copies some of what is missing. 0, or -1 with an exception. */
static int take_some(struct sf_packed *packed, struct sf_result_memory *memory, const struct sf_result_part *part,
                     char *to, uint64_t room)
{
    uint64_t at = part->offset + sf_incoming_filled(&packed->incoming);
    int64_t taken;
    if (room < SF_MESSAGE_UNLOCKED_BYTES) {
        taken = sf_result_memory_take(memory, at, room, to);
    } else {
        Py_BEGIN_ALLOW_THREADS;
        taken = sf_result_memory_take(memory, at, room, to);
        Py_END_ALLOW_THREADS;
    }
    if (taken >= 0)
        return sf_incoming_advance(&packed->incoming, (uint64_t)taken);
    sf_error((int)taken, "cannot take the child's result");
    return -1;
}

int sf_packed_take(struct sf_packed *packed, struct sf_result_memory *memory, const struct sf_result_part *part)
{
    uint64_t from = sf_stretch_begin(part->bytes), room;
    int failed = begin(packed, part);
    for (char *to; !failed && (to = sf_incoming_next(&packed->incoming, &room)) != NULL;)
        failed = check_owner(memory) || take_some(packed, memory, part, to, room) ? -1 : 0;
    sf_log_stretch(SF_EVENT_COPIED, from, part->bytes);
    return failed;
}

PyObject *sf_packed_open(struct sf_packed *packed)
{
    return sf_incoming_open(&packed->incoming);
}

void sf_packed_clear(struct sf_packed *packed)
{
    sf_incoming_clear(&packed->incoming);
}
