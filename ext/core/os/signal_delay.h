/* Signals that have a handler, delayed while code runs that their handlers must not interrupt.
 *
 * The hooks of a fork are such code: an interpreter prints and drops what they raise, and with it what a signal handler
 * raised in them. Blocking signals in one thread would not do: another thread of the process would take them, and the
 * interpreter would still call the handler in the main thread. Also, what a hook starts would inherit the mask.
 *
 *     sf_signal_delay_begin(SF_SIGNAL_DELAY_ALL);
 *     ... fork, in a process that delays; in the child sf_signal_delay_adopt() ...
 *     sf_signal_delay_end(); // in both
 *
 * Between begin and end each handler is replaced by one that notes the signal; end restores the handlers and sends this
 * process what was noted. So no signal is lost; several of the same number may become one, as with blocked ones.
 *
 * Not delayed: signals without a handler, whose default action takes place; faults (SIGSEGV and the like); handlers
 * that want more than the number (SA_SIGINFO), which are not the interpreter's. A handler that another thread has
 * entered before begin is not waited for.
 *
 * Pairs may nest, also in several threads: the last end counts. A process that a fork in between made, and that does
 * not call adopt, delays nothing: there the handlers are called at once.
 *
 * Calls need the interpreter lock, or a process of one thread. Nothing blocks or allocates. begin takes one system call
 * for each signal that it is asked to look at, and end one for each that has a handler. */
#ifndef SF_CORE_OS_SIGNAL_DELAY_H
#define SF_CORE_OS_SIGNAL_DELAY_H

#include <stdint.h>

#define SF_SIGNAL_DELAY_ALL UINT64_MAX

/* The bit of a signal's number, from 1 on. */
static inline uint64_t sf_signal_delay_bit(int signal_number)
{
    return UINT64_C(1) << (signal_number - 1);
}

/* signals: the bits of those that are looked at: a caller may know that others have no handler that matters. */
void sf_signal_delay_begin(uint64_t signals);

/* In a child, right after the fork, with all signals blocked: from here on it delays its own signals, until its own
 * end. What was noted is its parent's, and forgotten here. */
void sf_signal_delay_adopt(void);

/* Also in a process that a fork in between made. */
void sf_signal_delay_end(void);

#endif
