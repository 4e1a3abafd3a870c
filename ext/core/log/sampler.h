/* Says when a stack is to be taken: about once in each period of CPU time of a thread (trace.start(sample_hz=)).
 *
 * Each sampled thread has two timers (timer_create) that send it a real-time signal: one on the machine's clock, for
 * the exact time while it runs, and one on its own CPU clock, which says that it runs again after a wait. So a wait is
 * interrupted at most once, and only if the thread was on a CPU at a tick of the kernel's timer since the wait before.
 * Neither SIGPROF nor setitimer are used, which belong to the program. The signal handler takes no stack. It counts,
 * and asks the interpreter, which takes the stack at its next safe point:
 *
 *     the time comes --> handler: notes what is due, ask() --> the interpreter: sf_sampler_take, writes SAMPLE
 *
 * ask() is the interpreter's own handler of that signal, and has to run in its main thread. Another thread's handler
 * sends a second signal there, which ends a wait as any signal of the program's would.
 *
 * The time between two samples is random, from 0.8 to 1.2 periods; else a loop that takes about a period
 * would always be met at the same place. The first time is from 0 to a period. So threads that live shorter than a
 * period have, all together, as many samples as their CPU time has periods. A sample stands for the CPU time since the
 * one before.
 *
 * Forks: timers are not inherited. In every child, the thread that has forked gets one, if the session still runs. An
 * exec ends all. Everything here needs the interpreter lock, but for the handler. Nothing blocks. */
#ifndef SF_CORE_LOG_SAMPLER_H
#define SF_CORE_LOG_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

#define SF_SAMPLER_THREADS 64 /* that are sampled at the same time; the first is the interpreter's main thread */

/* Samples the calling thread, the interpreter's main thread, as often as the session says (sample_hz); does nothing if
 * it says 0. `signal` is a real-time signal that the interpreter handles; its handler, as it is now, is replaced, and
 * that of waking_signal, another one. 0, or -errno: -EAGAIN: the user may have no more timers (RLIMIT_SIGPENDING). */
int sf_sampler_begin(int signal, int waking_signal);

/* Ends the timers, and writes what is still due in the main thread, without a stack. The signals' handlers stay,
 * because a signal may be on its way. */
void sf_sampler_end(void);

/* Whether this process takes samples. */
bool sf_sampler_is_on(void);

/* Samples the calling thread too. Nothing if all places are taken. */
void sf_sampler_enter(void);

/* Ends that; writes what is still due, without a stack. */
void sf_sampler_leave(void);

/* Writes what is due in the main thread without a stack: none will be taken any more. By the main thread. */
void sf_sampler_finish(void);

/* Takes what is due in the thread of that number, below SF_SAMPLER_THREADS: ns of CPU time, which the next sample
 * stands for; 0: nothing. *which: that thread, as pthread_self() gives it. */
uint64_t sf_sampler_take(unsigned thread, uint64_t *which);

#endif
