/* Starts and ends the counting of instructions, in a process that runs under valgrind's callgrind.
 * bench/run/counting.py loads this into a sample.
 *
 * A forked process has its parent's counts. It begins at zero here, else the parent's would be in the sum once for each
 * child. Outside of valgrind all of this does nothing.
 *
 * Without valgrind's header this is a library whose bench_count_is_built is 0. */
#include <pthread.h>

#if defined __has_include
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define HAS_CALLGRIND 1
#endif
#endif

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int bench_count_is_built(void);
EXPORTED int bench_count_start(void);
EXPORTED void bench_count_stop(void);

#ifdef HAS_CALLGRIND

static void begin_at_zero(void)
{
    CALLGRIND_ZERO_STATS;
}

/* Whether valgrind's header was there when this was built. */
int bench_count_is_built(void)
{
    return 1;
}

/* 0, or an errno. Once in a process. */
int bench_count_start(void)
{
    int error = pthread_atfork(NULL, NULL, begin_at_zero);
    CALLGRIND_START_INSTRUMENTATION;
    return error;
}

void bench_count_stop(void)
{
    CALLGRIND_STOP_INSTRUMENTATION;
}

#else

int bench_count_is_built(void)
{
    return 0;
}

int bench_count_start(void)
{
    return 0;
}

void bench_count_stop(void)
{
}

#endif
