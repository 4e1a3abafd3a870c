/* See event_cost.h. The writer is part of the extension, not of this program, so its steps are repeated here. What is
 * not measured: the call of the writer and its test whether a trace is running, about 1 ns. */
#include "collect/event_cost.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#include "abi/log_format.h"
#include "base/clock.h"

enum { RECORDS = 1024, BATCHES = 41 };

static uint64_t stamp(void)
{
#if defined(__x86_64__)
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
#else
    return clock_tsc();
#endif
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double event_cost_measure(double ns_per_tick)
{
    static struct sf_record records[RECORDS];
    static struct {
        _Atomic uint64_t head;
        volatile uint64_t begun;
    } counts;
    double batches[BATCHES];
    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t from = clock_tsc();
        for (uint64_t i = 0; i < RECORDS; i++) {
            counts.begun++;
            atomic_signal_fence(memory_order_seq_cst);
            records[i] = (struct sf_record){.tsc = stamp(), .kind = SF_EVENT_MARK, .a = i};
            __asm__ volatile("" : : "r"(records) : "memory"); /* so that the compiler writes them */
            atomic_store_explicit(&counts.head, i + 1, memory_order_release);
        }
        batches[batch] = (double)(clock_tsc() - from) * ns_per_tick / RECORDS;
    }
    qsort(batches, BATCHES, sizeof *batches, by_value);
    return batches[BATCHES / 2];
}
