/* Sending a message over a stream, a long one in pieces (core/result/stream.h). */
#ifndef SF_PY_MESSAGE_DEPARTURE_H
#define SF_PY_MESSAGE_DEPARTURE_H

#include <stdatomic.h>

#include "core/result/stream.h"
#include "py/message/message.h"

/* Sends a packed message; source, tag and number are for its head (struct sf_stream_head). Blocks, without the
 * interpreter lock, while the ring is full. cancel: gives up when that word becomes other than 0; NULL: never. 0;
 * -ECANCELED; SF_RAISED: a signal handler raised; -EPIPE: the receiver is gone; -ECHILD: a signal handler has called
 * os.fork, and this is the process that made: the rest is not its to send; or another -errno. */
int sf_departure_send(struct sf_ring *ring, const struct sf_message *message, uint32_t source, uint32_t tag,
                      uint64_t number, const _Atomic uint32_t *cancel);

#endif
