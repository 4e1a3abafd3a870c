/* An outcome's message as it was taken out of the result memory: packed until it could be opened, which may take
 * several calls. What interrupts the taking or the opening (Ctrl-C, lack of memory) loses nothing. */
#ifndef SF_PY_TASK_PACKED_H
#define SF_PY_TASK_PACKED_H

#include "py/base/compat.h"

#include <stdbool.h>

#include "core/result/result_memory.h"
#include "py/message/incoming.h"

/* All zeros: nothing was taken. */
struct sf_packed {
    struct sf_incoming incoming;
};

static inline bool sf_packed_is_there(const struct sf_packed *packed)
{
    return packed->incoming.total != 0;
}

/* Takes the part, or what is missing of it. Copies without the interpreter lock. 0, or -1 with an exception; then it
 * can be called again. */
int sf_packed_take(struct sf_packed *packed, struct sf_result_memory *memory, const struct sf_result_part *part);

/* What the message holds, as often as it is called: a new reference, or NULL with what unpickling raised. */
PyObject *sf_packed_open(struct sf_packed *packed);

void sf_packed_clear(struct sf_packed *packed);

#endif
