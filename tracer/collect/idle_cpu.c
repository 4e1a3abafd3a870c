/* See idle_cpu.h. The kernel's own count of idle time answers. */
#include "collect/idle_cpu.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

/* How long the CPUs that this process may use have been idle since the machine's start, in clock ticks; 0: not known.
 * *cpus, if it is wanted: how many these are. */
static uint64_t idle_ticks(int *cpus)
{
    int count = 0;
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
            CPU_ISSET(cpu, &allowed)) {
            sum += idle + waiting; /* a CPU that waits for a disk is idle too */
            count++;
        }
    }
    fclose(f);
    if (cpus)
        *cpus = count;
    return sum;
}

void idle_cpu_watch(struct idle_cpu *idle_cpu)
{
    idle_cpu->idle = idle_ticks(NULL);
    idle_cpu->since_ns = idle_cpu->idle ? clock_now_ns() : 0;
}

static double idle_ns_since(const struct idle_cpu *idle_cpu, int *cpus)
{
    return (double)(int64_t)(idle_ticks(cpus) - idle_cpu->idle) * 1e9 / (double)sysconf(_SC_CLK_TCK);
}

double idle_cpu_share(const struct idle_cpu *idle_cpu)
{
    int cpus = 0;
    int64_t watched_ns = clock_now_ns() - idle_cpu->since_ns;
    if (!idle_cpu->since_ns || watched_ns < IDLE_CPU_WINDOW_NS)
        return -1;
    double idle_ns = idle_ns_since(idle_cpu, &cpus);
    double share = cpus && idle_ns >= 0 ? idle_ns / ((double)watched_ns * cpus) : -1;
    return share > 1 ? 1 : share;
}

bool idle_cpu_is_there(const struct idle_cpu *idle_cpu)
{
    int64_t watched_ns = clock_now_ns() - idle_cpu->since_ns;
    if (!idle_cpu->since_ns || watched_ns < IDLE_CPU_WINDOW_NS)
        return false;
    return idle_ns_since(idle_cpu, NULL) >= 0.75 * (double)watched_ns;
}
