/* See clock.h.
 *
 * Invariants: each snapshot is later than the one before it in both tsc and monotonic_ns, so every segment rises; each
 * segment begins where the one before it ends. There is a new segment every second, because NTP changes the rate of
 * CLOCK_MONOTONIC: one frequency for the whole session would be wrong. */
#include "base/clock.h"

#include <assert.h>
#include <math.h>
#if defined __x86_64__
#include <cpuid.h>
#include <x86intrin.h>
#endif

enum { BRACKETS = 100 };

uint64_t clock_tsc(void)
{
#if defined __x86_64__
    _mm_lfence();
    uint64_t tsc = __rdtsc();
    _mm_lfence();
    return tsc;
#elif defined __aarch64__
    uint64_t tsc;
    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(tsc) : : "memory");
    return tsc;
#else
#error "snakefish-trace can read the timestamp counters of x86-64 and aarch64 only"
#endif
}

bool clock_is_invariant(void)
{
#if defined __x86_64__
    unsigned eax, ebx, ecx, edx;
    return __get_cpuid(0x80000007, &eax, &ebx, &ecx, &edx) && (edx & (1u << 8));
#else
    return true; /* the architecture guarantees it */
#endif
}

int64_t clock_system_ns(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

int64_t clock_now_ns(void)
{
    return clock_system_ns(CLOCK_MONOTONIC);
}

struct clock_snapshot clock_take(double ns_per_tick)
{
    struct clock_snapshot best = {0};
    uint64_t width = UINT64_MAX;
    for (int i = 0; i < BRACKETS; i++) {
        uint64_t before = clock_tsc();
        int64_t monotonic_ns = clock_now_ns();
        uint64_t after = clock_tsc();
        if (after >= before && after - before < width) {
            width = after - before;
            best.tsc = before + width / 2;
            best.monotonic_ns = monotonic_ns;
        }
    }
    best.realtime_ns = clock_system_ns(CLOCK_REALTIME) - (clock_now_ns() - best.monotonic_ns);
    best.error_ns = (int64_t)ceil((double)width / 2 * ns_per_tick);
    return best;
}

static double slope(const struct clock_snapshot *from, const struct clock_snapshot *to)
{
    return (double)(to->monotonic_ns - from->monotonic_ns) / (double)(to->tsc - from->tsc);
}

void clock_start(struct clock *clock)
{
    struct clock_snapshot first = clock_take(0), then;
    struct timespec pause = {.tv_nsec = 2 * NS_PER_MS};
    do {
        nanosleep(&pause, NULL);
        then = clock_take(0);
    } while (then.tsc <= first.tsc || then.monotonic_ns <= first.monotonic_ns);
    double ns_per_tick = slope(&first, &then);
    first = clock_take(ns_per_tick); /* again, since its error is known in ns now; the session begins here */
    clock_resume(clock, &first, &first, ns_per_tick);
}

void clock_resume(struct clock *clock, const struct clock_snapshot *first, const struct clock_snapshot *last,
                  double ns_per_tick)
{
    assert(ns_per_tick > 0);
    int64_t ns = last->monotonic_ns - first->monotonic_ns;
    clock->first = *first;
    clock->last = *last;
    clock->worst_error_ns = first->error_ns > last->error_ns ? first->error_ns : last->error_ns;
    clock->open = (struct clock_segment){ns ? last->tsc : 0, last->tsc, ns, ns_per_tick};
}

bool clock_advance(struct clock *clock, const struct clock_snapshot *next, struct clock_segment *closed)
{
    if (next->tsc <= clock->last.tsc || next->monotonic_ns <= clock->last.monotonic_ns)
        return false;
    clock->open.ns_per_tick = slope(&clock->last, next);
    assert(clock->open.ns_per_tick > 0 && clock->open.tsc == clock->last.tsc);
    *closed = clock->open;
    clock->last = *next;
    clock->open.from_tsc = clock->open.tsc = next->tsc;
    clock->open.ns = next->monotonic_ns - clock->first.monotonic_ns;
    if (next->error_ns > clock->worst_error_ns)
        clock->worst_error_ns = next->error_ns;
    return true;
}

static int64_t hold_ns(int64_t ns)
{
    return ns < -CLOCK_MAX_NS ? -CLOCK_MAX_NS : ns > CLOCK_MAX_NS ? CLOCK_MAX_NS : ns;
}

int64_t clock_segment_ns(const struct clock_segment *segment, uint64_t tsc)
{
    double since_ns = (double)(int64_t)(tsc - segment->tsc) * segment->ns_per_tick;
    /* Not a number, which comes of an infinite rate, counts as 0. */
    int64_t held_ns = since_ns >= (double)CLOCK_MAX_NS    ? CLOCK_MAX_NS
                      : since_ns <= -(double)CLOCK_MAX_NS ? -CLOCK_MAX_NS
                      : isnan(since_ns)                   ? 0
                                                          : (int64_t)since_ns;
    return hold_ns(hold_ns(segment->ns) + held_ns);
}

int64_t clock_ns(const struct clock *clock, uint64_t tsc)
{
    return clock_segment_ns(&clock->open, tsc);
}

uint64_t clock_ticks(const struct clock *clock, int64_t ns)
{
    double ticks = (double)ns / clock->open.ns_per_tick;
    return ticks < (double)CLOCK_MAX_NS ? (uint64_t)ticks : (uint64_t)CLOCK_MAX_NS; /* a log may name any time */
}

double clock_hz(const struct clock *clock)
{
    if (clock->last.tsc == clock->first.tsc)
        return 1e9 / clock->open.ns_per_tick;
    return 1e9 / slope(&clock->first, &clock->last);
}
