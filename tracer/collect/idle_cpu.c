/* Whether a CPU is to spare, by the kernel's count of idle time. See spare.h. */
#include "collect/idle_cpu.h"

#include <sched.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Ticks that the CPUs which this process may use were idle since the machine's start; 0: not known. */
static uint64_t idle_ticks(void)
{
    cpu_set_t allowed;
    char line[256];
    uint64_t sum = 0;
    FILE *f = fopen("/proc/stat", "re");
    if (!f)
        return 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed))
        CPU_ZERO(&allowed);
    while (fgets(line, sizeof line, f)) {
        unsigned cpu;
        unsigned long long idle, waiting;
        if (sscanf(line, "cpu%u %*u %*u %*u %llu %llu", &cpu, &idle, &waiting) == 3 && cpu < CPU_SETSIZE &&
            CPU_ISSET(cpu, &allowed))
            sum += idle + waiting; /* waiting for a disk is idle, too */
    }
    fclose(f);
    return sum;
}

void idle_cpu_quiet(struct idle_cpu *spare)
{
    spare->idle = idle_ticks();
    spare->since_ns = spare->idle ? now_ns() : 0;
}

bool idle_cpu_is_there(const struct idle_cpu *spare)
{
    int64_t quiet_ns = now_ns() - spare->since_ns;
    if (!spare->since_ns || quiet_ns < IDLE_CPU_WINDOW_NS)
        return false;
    double idle_ns = (double)(int64_t)(idle_ticks() - spare->idle) * 1e9 / (double)sysconf(_SC_CLK_TCK);
    return idle_ns >= 0.75 * (double)quiet_ns;
}
