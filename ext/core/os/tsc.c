/* The counter's frequency, for users who want seconds from get_timestamp(). Traces do not use it: the collector takes
 * clock snapshots for them. */
#include "core/os/tsc.h"

#include <stdatomic.h>
#include <time.h>

#include "core/os/monotonic.h"

#if defined(__x86_64__)
/* Reads both clocks at about the same moment: takes the narrowest of some brackets tsc - clock - tsc, which is the one
 * least disturbed by interrupts. */
static void read_both_clocks(uint64_t *tsc, int64_t *ns)
{
    uint64_t narrowest = UINT64_MAX;
    for (int i = 0; i < 50; i++) {
        uint64_t before = sf_tsc_read_fenced();
        int64_t middle = sf_monotonic_ns();
        uint64_t after = sf_tsc_read_fenced();
        if (after - before < narrowest) {
            narrowest = after - before;
            *tsc = before + (after - before) / 2;
            *ns = middle;
        }
    }
}

static uint64_t measure_hz(void)
{
    uint64_t tsc0 = 0, tsc1 = 0;
    int64_t ns0 = 0, ns1 = 0;
    struct timespec pause = {0, 20 * 1000 * 1000};
    read_both_clocks(&tsc0, &ns0);
    nanosleep(&pause, NULL);
    read_both_clocks(&tsc1, &ns1);
    return (uint64_t)((double)(tsc1 - tsc0) * 1e9 / (double)(ns1 - ns0) + 0.5);
}
#else
static uint64_t measure_hz(void)
{
    uint64_t hz;
    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(hz));
    return hz;
}
#endif

uint64_t sf_tsc_frequency_hz(void)
{
    static _Atomic uint64_t kept; /* if two threads measure at once, either value is good */
    uint64_t hz = atomic_load_explicit(&kept, memory_order_relaxed);
    if (hz == 0) {
        hz = measure_hz();
        atomic_store_explicit(&kept, hz, memory_order_relaxed);
    }
    return hz;
}
