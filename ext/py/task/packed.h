/* An outcome's message as it was taken out of the result memory: packed until it could be opened, which may take
 * several calls. What interrupts the taking (no memory) or the opening (Ctrl-C) loses nothing. */
#ifndef SF_PY_TASK_PACKED_H
#define SF_PY_TASK_PACKED_H

#include "py/base/compat.h"

#include <stdint.h>

#include "core/result/result_memory.h"

/* All zeros: nothing was taken. */
struct sf_packed {
    uint64_t head;    /* the message's first eight bytes */
    PyObject *bytes;  /* bytes or bytearray with all but the first `skipped` of them (sf_message_gather); owned */
    uint64_t skipped; /* 0 or 8 */
    uint64_t filled;  /* how many bytes of the message were taken */
};

/* Takes the part, or what is missing of it. Copies without the interpreter lock. 0, or -1 with an exception; then it
 * can be called again. */
int sf_packed_take(struct sf_packed *packed, struct sf_result_memory *memory, const struct sf_result_part *part);

/* What the message holds, as often as it is called: a new reference, or NULL with what unpickling raised. */
PyObject *sf_packed_open(const struct sf_packed *packed);

void sf_packed_clear(struct sf_packed *packed);

#endif
