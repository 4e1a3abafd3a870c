/* The calls under way of what trace.instrument wraps, and the spans and waits that they write.
 *
 * A call is a frame on its thread's stack. Whoever begins one ends it, also when what it calls raises; the wrapper
 * of what that calls finds it there. Nothing here blocks or touches Python. */
#ifndef SF_PY_TRACE_INSTRUMENT_CALL_H
#define SF_PY_TRACE_INSTRUMENT_CALL_H

#include "core/log/log.h"

#include <stdbool.h>
#include <stdint.h>

struct sf_call {
    uint32_t pipe;
    enum sf_event_kind kind; /* SEND or RECEIVE */
    bool open;               /* its END is still to come */
    bool taken;              /* its message is under way: calls of signal handlers are not part of it */
    enum sf_wait waiting;    /* in a WAIT, for that; 0: in none */
    /* in which era of the log, plus 1, these BEGINs were written; 0: they were not, tracing was off */
    uint32_t told, told_wait;
};

/* What "in which era" is now; 0: tracing is off. */
static inline uint32_t sf_call_era(void)
{
    return sf_log_enabled() ? sf_log_texts_era() + 1 : 0;
}

/* Writes the BEGIN. NULL: too many of this thread are under way (handlers in handlers), this one is not told. Where
 * a call is an argument below, NULL is allowed and does nothing. */
struct sf_call *sf_call_begin(uint32_t pipe, enum sf_event_kind kind);

/* The call around this one, if that is what this one is a part of. */
struct sf_call *sf_call_around(uint32_t pipe, enum sf_event_kind kind);

/* Ends its span, with what was sent or received. */
void sf_call_finish(struct sf_call *call, uint64_t seq, uint64_t bytes);

/* Ends the call, and its spans where they are still open: without a message. */
void sf_call_end(struct sf_call *call);

void sf_call_wait_begin(struct sf_call *call, enum sf_wait reason);
void sf_call_wait_end(struct sf_call *call);

/* Whether a call of this thread is in a WAIT already. */
bool sf_call_is_waiting(void);

/* In a child: the calls of the thread that forked it are its parent's. */
void sf_call_forget(void);

#endif
