/* writers PROCESSES EVENTS RATE: so many processes write so many events each into the session that the environment
 * names, at RATE events a second each, in a burst every millisecond; 0: as fast as they can. They use the log as the
 * extension does. For flood.py, which so knows how many events there were. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/log/log.h"

static void write_events(long events, long rate)
{
    struct timespec due;
    long burst = rate ? (rate + 999) / 1000 : events;
    clock_gettime(CLOCK_MONOTONIC, &due);
    for (long i = 0; i < events;) {
        for (long end = i + burst < events ? i + burst : events; i < end; i++)
            sf_log_write(SF_EVENT_MARK, SF_PHASE_INSTANT, 0, (uint64_t)i, 0);
        due.tv_nsec += 1000000;
        due.tv_sec += due.tv_nsec / 1000000000;
        due.tv_nsec %= 1000000000;
        if (rate)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
}

int main(int argc, char **argv)
{
    const char *session = getenv(SF_SESSION_ENV);
    if (argc != 4 || !session)
        return fprintf(stderr, "usage: snakefish-trace record -- writers PROCESSES EVENTS RATE\n"), 2;
    int failed = 0, status;
    sf_log_set_name("writers");
    if (sf_log_init() || sf_log_attach(session))
        return fprintf(stderr, "writers: cannot join %s\n", session), 1;
    for (long n = atol(argv[1]); n > 0; n--) {
        pid_t pid = fork();
        if (pid == 0) {
            write_events(atol(argv[2]), atol(argv[3]));
            _exit(0);
        }
        failed += pid < 0;
    }
    while (wait(&status) > 0)
        failed += status != 0;
    return failed != 0;
}
