/* The stack of calls. See instrument_call.h.
 *
 * A session may start or end while a call is under way. No END is written into a log that lacks its BEGIN. */
#include "py/trace/instrument_call.h"

#include <assert.h>
#include <stddef.h>

#include "core/log/pipe_numbers.h"

enum { DEPTH = 8 };

static __thread struct sf_call calls[DEPTH] __attribute__((tls_model("initial-exec")));
static __thread unsigned depth __attribute__((tls_model("initial-exec")));

struct sf_call *sf_call_begin(const void *connection, uint32_t pipe, enum sf_event_kind kind)
{
    if (depth == DEPTH)
        return NULL;
    struct sf_call *call = &calls[depth++];
    *call = (struct sf_call){.connection = connection, .pipe = pipe, .kind = kind, .open = true, .era = sf_call_era()};
    sf_log_write(kind, SF_PHASE_BEGIN, sf_pipe_numbers_channel(pipe), 0, 0);
    return call;
}

struct sf_call *sf_call_around(const void *connection, enum sf_event_kind kind)
{
    struct sf_call *call = depth ? &calls[depth - 1] : NULL;
    bool is_part = call && call->open && !call->transferring;
    return is_part && call->kind == kind && call->connection == connection ? call : NULL;
}

void sf_call_has_bytes(const void *connection)
{
    struct sf_call *call = depth ? &calls[depth - 1] : NULL;
    if (!call || !call->transferring || call->begun || call->connection != connection)
        return;
    call->begun = true;
    sf_call_wait_end(call);
    call->begun_tsc = sf_log_stretch_begin();
}

void sf_call_finish(struct sf_call *call, uint64_t seq, uint64_t bytes)
{
    if (!call)
        return;
    uint32_t channel = sf_pipe_numbers_channel(call->pipe);
    call->open = false;
    if (call->era != sf_call_era()) {
        if (!seq)
            return;
        sf_log_write(call->kind, SF_PHASE_BEGIN, channel, 0, 0); /* in this log: a message needs a whole span */
    }
    if (call->kind == SF_EVENT_RECEIVE)
        sf_log_write_fenced(SF_EVENT_RECEIVE, SF_PHASE_END, channel, seq, bytes);
    else
        sf_log_write(SF_EVENT_SEND, SF_PHASE_END, channel, seq, bytes);
}

void sf_call_end(struct sf_call *call)
{
    if (!call)
        return;
    sf_call_wait_end(call);
    if (call->open)
        sf_call_finish(call, 0, 0);
    assert(call >= calls && call < calls + DEPTH);
    depth = (unsigned)(call - calls);
}

/* b of the WAIT: a wait for work names no channel, because what it is for is what the CHUNK after it says. */
static uint64_t waits_for(const struct sf_call *call)
{
    return call->waiting == SF_WAIT_WORK ? 0 : sf_pipe_numbers_channel(call->pipe);
}

void sf_call_wait_begin(struct sf_call *call, enum sf_wait reason)
{
    if (!call || call->waiting)
        return;
    call->waiting = reason;
    call->wait_era = sf_call_era();
    sf_log_write(SF_EVENT_WAIT, SF_PHASE_BEGIN, 0, reason, waits_for(call));
}

void sf_call_wait_end(struct sf_call *call)
{
    if (!call)
        return;
    if (call->waiting && call->wait_era == sf_call_era())
        sf_log_write(SF_EVENT_WAIT, SF_PHASE_END, 0, call->waiting, waits_for(call));
    call->waiting = 0;
}

bool sf_call_is_waiting(void)
{
    return depth && calls[depth - 1].waiting;
}

void sf_call_forget(void)
{
    depth = 0;
}
