/* What workers send, on its way to the job: the one place where the results of map, starmap, imap and imap_unordered
 * are opened. See engine.h for the messages.
 *
 *     a piece --> copied --> (whole) --> opened --> job->keep or job->extracted
 *             |  ^             |  ^        |
 *             |  |             |  |        +--> what is wrong with the bytes --> job->fail, for the argument it is
 * about v  |             v  | unopened: there was no memory, or the opening was interrupted; it is done again by the
 * next call
 *
 * Unpickling runs code of the program. An exception says nothing about the bytes if it is none of Exception, as Ctrl-C,
 * if it is MemoryError, or if it does not come again when the message is opened once more, as what a signal handler
 * raises. Such a one passes through unchanged, and what was received stays. Where a list of results cannot be unpickled
 * as a whole, it is opened result by result: those before the bad one are kept. */
#ifndef SF_PY_WORKERS_RECEIVE_H
#define SF_PY_WORKERS_RECEIVE_H

#include "py/workers/engine_struct.h"

/* Takes a piece, and opens the message if it is whole. 0, -EAGAIN: there is none, -EBUSY: the ring's lock is held, so
 * that is not known, SF_RAISED or another -errno. In another process than the engine's: RuntimeError. While the engine
 * is lent (direct.h) -ECANCELED: what came has to be opened by code of the program, or is no value. It stays unopened.
 */
int sf_receive_piece(struct sf_engine *engine);

/* Drops what is unopened. */
void sf_receive_clear(struct sf_engine *engine);

/* The same, where more is to be received: of a message that came in part, the rest is passed over when it comes. The
 * job keeps going. */
void sf_receive_drop(struct sf_engine *engine);

#endif
