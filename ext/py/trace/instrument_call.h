/* The calls under way of the methods that trace.instrument wraps, and the spans and waits that they write.
 *
 * Each thread has a stack of calls. A wrapper begins a call, calls the method, and ends the call, also when the method
 * raises. A wrapper that the method calls in turn finds the call on the stack, and writes its events for it. A stack is
 * written and read by its own thread only. Nothing here blocks or touches Python. */
#ifndef SF_PY_TRACE_INSTRUMENT_CALL_H
#define SF_PY_TRACE_INSTRUMENT_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/log/log.h"

struct sf_call {
    const void *connection; /* only compared */
    uint64_t begun_tsc;     /* when `begun` was set; 0: events are not wanted */
    uint32_t pipe;
    enum sf_event_kind kind; /* SEND or RECEIVE */
    enum sf_wait waiting;    /* for what it is in a WAIT; 0: it is in none */
    uint32_t era, wait_era;  /* sf_call_era() when the BEGIN of its span, of its WAIT, was written */
    bool open;               /* the END of its span is not written yet */
    bool transferring;       /* its message is being read: calls that a signal handler makes now are not part of it */
    bool begun;              /* and its beginning has come */
};

/* A number that stands for the log that events are written to now; 0: tracing is off. An END is written only if the
 * number is the same as at its BEGIN. */
static inline uint32_t sf_call_era(void)
{
    return sf_log_enabled() ? sf_log_texts_era() + 1 : 0;
}

/* Begins a call and writes its BEGIN. NULL: this thread has too many calls under way (handlers in handlers), and this
 * one writes no events. The functions below take NULL for `call`, and do nothing then. */
struct sf_call *sf_call_begin(const void *connection, uint32_t pipe, enum sf_event_kind kind);

/* The innermost call, if it is of this kind and on this connection: then the caller is a part of it. Else NULL. */
struct sf_call *sf_call_around(const void *connection, enum sf_event_kind kind);

/* Bytes of a message have come from this connection. If they are the first of the message that this thread's innermost
 * call reads, its WAIT ends. */
void sf_call_has_bytes(const void *connection);

/* Writes the END of the call's span, with the message that was sent or received; seq 0: none. */
void sf_call_finish(struct sf_call *call, uint64_t seq, uint64_t bytes);

/* Ends the call, and its span and WAIT where these are still open: without a message. */
void sf_call_end(struct sf_call *call);

void sf_call_wait_begin(struct sf_call *call, enum sf_wait reason);
void sf_call_wait_end(struct sf_call *call);

/* Whether this thread's innermost call is in a WAIT. */
bool sf_call_is_waiting(void);

/* In a child: drops the calls that were under way in the thread that forked it. */
void sf_call_forget(void);

#endif
