/* Buffers that were taken before their message. See taken.h. */
#include "py/message/taken.h"

#include <limits.h>

#include "core/os/futex.h"
#include "py/message/offer.h"
#include "py/trace/stretch.h"

/* 0 or -1: it was not taken. */
static int take(struct sf_taken **place, const struct sf_buffer_offer *offer, uint64_t number, pid_t sender)
{
    if (number == 0)
        sf_taken_clear(place);
    uint32_t count = *place ? (*place)->count : 0;
    if (number != count)
        return -1;
    struct sf_taken *taken = PyMem_Realloc(*place, sizeof *taken + (count + 1) * sizeof taken->buffers[0]);
    if (!taken)
        return -1;
    if (!*place)
        taken->count = taken->next = 0;
    *place = taken;
    if (sf_buffer_file_map(&taken->buffers[count], sender, offer))
        return -1;
    taken->count++;
    return 0;
}

void sf_taken_add(struct sf_taken **taken, const struct sf_buffer_offer *offer, uint64_t number, pid_t sender,
                  _Atomic uint32_t *answer)
{
    uint32_t waits = SF_OFFER_MADE;
    uint64_t from = sf_stretch_begin(offer->bytes);
    uint32_t says = take(taken, offer, number, sender) ? SF_OFFER_REFUSED : SF_OFFER_TAKEN;
    if (says == SF_OFFER_TAKEN) /* what the sender waits for, as for the room that a copy makes in the ring */
        sf_log_stretch(SF_EVENT_COPIED, from, offer->bytes);
    /* release: the partner is the load in offer.c, behind which the sender closes the file */
    if (atomic_compare_exchange_strong_explicit(answer, &waits, says, memory_order_release, memory_order_relaxed))
        sf_futex_wake(answer, INT_MAX);
}

void *sf_taken_next(struct sf_taken *taken, uint64_t bytes)
{
    void *memory = taken && taken->next < taken->count ? taken->buffers[taken->next] : NULL;
    if (!memory || sf_buffer_bytes(memory) != bytes)
        return NULL;
    taken->buffers[taken->next++] = NULL;
    return memory;
}

void sf_taken_put_back(struct sf_taken *taken, void *memory)
{
    taken->buffers[--taken->next] = memory;
}

void sf_taken_clear(struct sf_taken **taken)
{
    for (uint32_t i = 0; *taken && i < (*taken)->count; i++)
        sf_buffer_free((*taken)->buffers[i]);
    PyMem_Free(*taken);
    *taken = NULL;
}
