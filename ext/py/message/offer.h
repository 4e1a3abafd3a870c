/* Large arrays of a message that go ahead of it, as files that the receiver maps (core/result/buffer_file.h), instead
 * of being copied into the ring and out of it.
 *
 *     sender                                                      receiver (taken.h)
 *     for each array of SF_OFFER_LEAST_BYTES and more:
 *         writes it into a file
 *         word = MADE, an offer over the ring -------------->     maps the file, or cannot
 *         waits for the answer               <---- the word:     TAKEN or REFUSED
 *         closes the file. TAKEN: leaves the array's bytes out of the message
 *     sends the message -------------------------------------->  opens it: uses the buffers in their order
 *
 *     NONE --sender--> MADE --receiver--> TAKEN --sender--> MADE ...
 *                        +---receiver--> REFUSED: there are no more offers, all goes over the ring
 *
 * The word is in shared memory, one for each sender. A receiver refuses if it cannot open the sender's files, as where
 * /proc is missing or the sender has become another user, or if it has no descriptor or no address space left. Nothing
 * is lost then: what was refused goes over the ring.
 *
 * So the receiver holds no descriptors, and the sender one at a time. A slow receiver is waited for, as for room in the
 * ring: large results do not pile up. */
#ifndef SF_PY_MESSAGE_OFFER_H
#define SF_PY_MESSAGE_OFFER_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/ring/ring.h"

#define SF_OFFER_TAG 0x80000000u        /* of an offer's head on the stream, whose number is that of the offer */
#define SF_OFFER_LEAST_BYTES (2u << 20) /* less is copied sooner, through pages that are warm */

enum sf_offer_answer { SF_OFFER_NONE = 0, SF_OFFER_MADE, SF_OFFER_TAKEN, SF_OFFER_REFUSED };

struct sf_message;

struct sf_offering {
    struct sf_ring *ring;
    uint32_t source;
    pid_t receiver; /* the sender's parent */
    _Atomic uint32_t *word;
};

/* Offers the large arrays of a packed message. Those that were taken are left out of it from then on. Blocks, without
 * the interpreter lock, until the receiver answers. 0, also where nothing was offered or taken, or as of
 * sf_departure_send: then the message must not be sent. */
int sf_offer_arrays(const struct sf_offering *offering, struct sf_message *message);

#endif
