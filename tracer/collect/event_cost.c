/* The cost of an event, measured on records in memory of our own. The writer itself cannot be asked: it lives in
 * the traced program, whose time this is about. So it leaves out what surrounds the writing there, the call and the
 * test whether events are wanted, some 1 ns. */
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

static int compare(const void *a, const void *b)
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
    } books;
    double batches[BATCHES];
    for (int batch = 0; batch < BATCHES; batch++) {
        uint64_t from = clock_tsc();
        for (uint64_t i = 0; i < RECORDS; i++) {
            books.begun++;
            atomic_signal_fence(memory_order_seq_cst);
            records[i] = (struct sf_record){.tsc = stamp(), .kind = SF_EVENT_MARK, .a = i};
            __asm__ volatile("" : : "r"(records) : "memory"); /* they are to be written */
            atomic_store_explicit(&books.head, i + 1, memory_order_release);
        }
        batches[batch] = (double)(clock_tsc() - from) * ns_per_tick / RECORDS;
    }
    qsort(batches, BATCHES, sizeof *batches, compare);
    return batches[BATCHES / 2];
}
