/* Outcomes out of the result memory. An outcome's message is a struct sf_incoming (py/message/incoming.h), which keeps
 * it until it could be opened. */
#ifndef SF_PY_TASK_PACKED_H
#define SF_PY_TASK_PACKED_H

#include "core/result/result_memory.h"
#include "py/message/incoming.h"

/* Takes the part into `packed`, all zeros at first, or goes on where the last call came to. Copies without the
 * interpreter lock. 0, or -1 with an exception; then it can be called again, if that was MemoryError. */
int sf_packed_take(struct sf_incoming *packed, struct sf_result_memory *memory, const struct sf_result_part *part);

#endif
