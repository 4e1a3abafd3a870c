/* Buffers that were taken before the message they belong to: the receiver's side of offer.h. */
#ifndef SF_PY_MESSAGE_TAKEN_H
#define SF_PY_MESSAGE_TAKEN_H

#include "py/base/compat.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/result/buffer_file.h"

/* One source's, in the order in which the message's table names them. The caller keeps a pointer to it; NULL: none. */
struct sf_taken {
    uint32_t count, next;
    void *buffers[]; /* owned; NULL: given away */
};

/* Takes what the sender offers as number `number` of a message: 0 begins a new list. Says in *answer whether that
 * worked, unless nobody waits for it. Runs no code of the program. */
void sf_taken_add(struct sf_taken **taken, const struct sf_buffer_offer *offer, uint64_t number, pid_t sender,
                  _Atomic uint32_t *answer);

/* The next one, which must be so long: memory of buffer_file.h, which becomes the caller's. NULL: it is not there. */
void *sf_taken_next(struct sf_taken *taken, uint64_t bytes);

/* Puts the last one back, which the caller could not use. */
void sf_taken_put_back(struct sf_taken *taken, void *memory);

void sf_taken_clear(struct sf_taken **taken);

#endif
