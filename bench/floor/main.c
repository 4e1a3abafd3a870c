/* bench-floor: what the machine alone needs, with which the bench compares runtimes. Prints one line of JSON.
 *
 *     bench-floor memcpy BYTES COUNT   COUNT copies of BYTES between two buffers that are warm
 *     bench-floor spin COUNT           COUNT round trips of a number between two processes that spin on one shared word
 *
 * "ns" is the time of all COUNT; "right" how many of the copies or answers were right. Exit status 2: bad arguments. */
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Where both share one CPU, a spin would last until the end of its time slice. So after so many reads it yields. */
enum { LOOKS = 10000, LINE = 64 };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int print(int64_t ns, long right)
{
    printf("{\"ns\": %lld, \"right\": %ld}\n", (long long)ns, right);
    return fflush(stdout) ? 1 : 0;
}

static int copies(size_t bytes, long count)
{
    unsigned char *from = malloc(bytes), *to = malloc(bytes);
    if (!from || !to) {
        perror("bench-floor");
        free(from);
        free(to);
        return 1;
    }
    for (size_t i = 0; i < bytes; i++)
        from[i] = (unsigned char)(i * 31 + (i >> 8));
    memcpy(to, from, bytes); /* so that the pages are present and in the caches */
    memset(to, 0, bytes);
    int64_t start = now_ns();
    for (long i = 0; i < count; i++) {
        memcpy(to, from, bytes);
        __asm__ volatile("" : : "r"(to), "r"(from) : "memory"); /* keeps the compiler from dropping a copy */
    }
    int64_t ns = now_ns() - start;
    int right = memcmp(from, to, bytes) == 0;
    free(from);
    free(to);
    return print(ns, right ? count : 0);
}

/* Both sides read and write the one word. It is this side's turn when the word holds the value. */
static void wait_for(_Atomic int64_t *word, int64_t value)
{
    for (int looks = 0; atomic_load_explicit(word, memory_order_acquire) != value;) /* pairs with the other's store */
        if (++looks == LOOKS) {
            looks = 0;
            sched_yield();
        }
}

static int round_trips(long count)
{
    _Atomic int64_t *word = mmap(NULL, LINE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (word == MAP_FAILED)
        return perror("bench-floor"), 1;
    pid_t pid = fork();
    if (pid < 0)
        return perror("bench-floor"), 1;
    /* The n-th question is 2n + 1, its answer 2n + 2. The first one is not timed: it waits for the child to be up. */
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* without the parent it would wait for ever */
        for (int64_t n = 0; n <= count; n++) {
            wait_for(word, 2 * n + 1);
            atomic_store_explicit(word, 2 * n + 2, memory_order_release);
        }
        _exit(0);
    }
    atomic_store_explicit(word, 1, memory_order_release);
    wait_for(word, 2);
    int64_t start = now_ns();
    for (int64_t n = 1; n <= count; n++) {
        atomic_store_explicit(word, 2 * n + 1, memory_order_release);
        wait_for(word, 2 * n + 2);
    }
    int64_t ns = now_ns() - start;
    int status;
    int right = waitpid(pid, &status, 0) == pid && status == 0 && atomic_load(word) == 2 * (int64_t)count + 2;
    return print(ns, right ? count : 0);
}

int main(int count, char **arguments)
{
    long first = count > 2 ? atol(arguments[2]) : 0, second = count > 3 ? atol(arguments[3]) : 0;
    if (count == 4 && !strcmp(arguments[1], "memcpy") && first > 0 && second > 0)
        return copies((size_t)first, second);
    if (count == 3 && !strcmp(arguments[1], "spin") && first > 0)
        return round_trips(first);
    fprintf(stderr, "usage: bench-floor memcpy BYTES COUNT | spin COUNT\n");
    return 2;
}
