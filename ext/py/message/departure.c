/* Messages in pieces, on the sender's side. See departure.h. */
#include "py/message/departure.h"

#include <errno.h>

#include "core/log/log.h"
#include "core/os/pid.h"
#include "core/ring/ring_wait.h"
#include "py/base/wait.h"
#include "py/trace/stretch.h"

struct departure {
    struct sf_ring *ring;
    struct sf_stream_out out;
    const _Atomic uint32_t *cancel;
    pid_t sender;
};

static int try_push(void *what)
{
    struct departure *departure = what;
    if (departure->sender != sf_pid_own())
        return -ECHILD;
    if (departure->cancel && atomic_load_explicit(departure->cancel, memory_order_acquire))
        return -ECANCELED;
    return sf_stream_push(departure->ring, &departure->out);
}

static int sleep_until_room(void *what, int64_t timeout_ns)
{
    struct departure *departure = what;
    return sf_ring_wait_room(departure->ring, sizeof(struct sf_stream_head) + SF_STREAM_PIECE_BYTES, timeout_ns);
}

int sf_departure_send(struct sf_ring *ring, const struct sf_message *message, uint32_t source, uint32_t tag,
                      uint64_t number, const _Atomic uint32_t *cancel)
{
    struct departure departure = {
        ring,
        {.head = {source, tag, number, message->bytes, 0}, .parts = message->parts, .count = message->count},
        cancel,
        sf_pid_own()};
    struct sf_waiting waiting = {try_push, sleep_until_room, &departure, SF_WAIT_ROOM, 0};
    uint64_t from = sf_stretch_begin(message->bytes);
    int error = sf_wait(&waiting, true, SF_FOREVER);
    sf_log_stretch(SF_EVENT_COPIED, from, message->bytes);
    return error;
}
