/* The CPU's timestamp counter: the clock of every event.
 *
 * x86-64: rdtsc, which counts at a constant rate on every CPU with an invariant TSC (the collector checks that).
 * aarch64: cntvct_el0. Raw ticks; the collector, not the traced process, turns them into time. */
#ifndef SF_CORE_OS_TSC_H
#define SF_CORE_OS_TSC_H

#include <stdint.h>

/* Not ordered with the loads and stores around it: ordering would more than double the cost. */
static inline uint64_t sf_tsc_read(void)
{
#if defined(__x86_64__)
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
#error "snakefish knows the timestamp counters of x86-64 and aarch64"
#endif
}

/* Reads it after every earlier load and before every later instruction, also as the compiler orders them. For events
 * that must follow what was loaded: the start of a child, the end of a receive. */
static inline uint64_t sf_tsc_read_fenced(void)
{
#if defined(__x86_64__)
    __asm__ volatile("lfence" ::: "memory");
    uint64_t ticks = sf_tsc_read();
    __asm__ volatile("lfence" ::: "memory");
#else
    __asm__ volatile("isb" ::: "memory");
    uint64_t ticks = sf_tsc_read();
    __asm__ volatile("isb" ::: "memory");
#endif
    return ticks;
}

/* Ticks a second, in Hz. The first call measures it against CLOCK_MONOTONIC and blocks for some 20 ms; later calls and
 * forked children use that value. On aarch64 a register has it. */
uint64_t sf_tsc_frequency_hz(void);

#endif
