/* bench-events: what an event costs where it is written, in C, and what the timestamp alone costs. Prints one line
 * of JSON, as bench-floor does.
 *
 *     bench-events WHAT COUNT [WRITERS]
 *
 *     rdtsc, rdtsc-fenced      a timestamp, alone
 *     event, event-fenced      an event with such a timestamp, into a log whose pages are warm
 *     off                      the same call where no session runs
 *     first-lap                an event into a spare that the collector made ready: COUNT at most half of a log
 *     first-lap-alone          an event into a log that the writer made itself: the same
 *
 * COUNT times in each of WRITERS processes at once (1), each on a CPU of its own as long as there are some. "ns" is
 * the CPU time of all COUNT in one of them, the mean over the writers; "right" is how many events stand in its log
 * (timestamps: how many grew). The session is one of this program's own, without a collector: the logs are drained,
 * by moving their tail, outside of what is timed. Exit status 2: bad arguments, 1: what else went wrong. */
#include "collect/spares.h"
#include "core/log/log.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOG_RECORDS (1u << 17)
#define TURN (LOG_RECORDS / 4) /* written between two drains: few enough that no event wakes the collector */

struct answer {
    int64_t ns;
    long right;
};

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

#define TIMES(count, code)                                                                                             \
    for (long i = 0; i < (count); i++) {                                                                               \
        code;                                                                                                          \
        __asm__ volatile("" : : : "memory"); /* keeps the compiler from dropping a turn of the loop */                 \
    }

static long grew; /* timestamps that were later than the one before */
static uint64_t last;

static void look(uint64_t tsc)
{
    grew += tsc > last;
    last = tsc;
}

/* One turn of `count`. */
static void turn(const char *what, long count)
{
    if (!strcmp(what, "rdtsc"))
        TIMES(count, look(sf_tsc_read()))
    else if (!strcmp(what, "rdtsc-fenced"))
        TIMES(count, look(sf_tsc_read_fenced()))
    else if (!strcmp(what, "event-fenced"))
        TIMES(count, sf_log_write_fenced(SF_EVENT_SEND, SF_PHASE_INSTANT, 1, (uint64_t)i, 2))
    else
        TIMES(count, sf_log_write(SF_EVENT_SEND, SF_PHASE_INSTANT, 1, (uint64_t)i, 2))
}

/* Drains the log, as the collector does. */
static void drain(void)
{
    struct sf_log_header *header = sf_log_self.header;
    if (header)
        __atomic_store_n(&header->tail, header->head, __ATOMIC_RELEASE);
}

static void measure(const char *what, long count, struct answer *answer)
{
    bool cold = !strncmp(what, "first-lap", 9), timestamps = !strncmp(what, "rdtsc", 5);
    for (long warm = cold ? 0 : 2 * LOG_RECORDS; warm > 0; warm -= TURN, drain())
        turn(what, TURN);
    uint64_t before = timestamps ? (uint64_t)grew : sf_log_self.header ? sf_log_self.header->head : 0;
    for (long left = count, now; left > 0; left -= now, drain()) {
        now = left < (long)TURN || cold ? left : (long)TURN;
        int64_t start = cpu_ns();
        turn(what, now);
        answer->ns += cpu_ns() - start;
    }
    answer->right = timestamps           ? grew - (long)before
                    : sf_log_self.header ? (long)(sf_log_self.header->head - before)
                                         : count; /* off: no event is written */
}

/* A directory with a session in it, as the collector makes one. 0 or -1. */
static int make_session(char *directory)
{
    struct sf_session_header header = {
        .magic = SF_SESSION_MAGIC, .version = SF_ABI_VERSION, .log_records = LOG_RECORDS, .state = SF_SESSION_ACTIVE};
    char page[4096] = {0};
    memcpy(page, &header, sizeof header);
    if (!mkdtemp(directory))
        return -1;
    int dir = open(directory, O_RDONLY | O_DIRECTORY), fd = openat(dir, SF_SESSION_FILE, O_RDWR | O_CREAT, 0600);
    int failed = fd < 0 || write(fd, page, sizeof page) != sizeof page;
    close(fd);
    close(dir);
    return failed ? -1 : 0;
}

static void remove_session(const char *directory)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    if (system(command))
        perror("bench-events: rm");
}

/* Makes a log ready for the next writer, as the collector does. */
static void prepare_spare(void)
{
    int dir = open(sf_log_directory(), O_RDONLY | O_DIRECTORY);
    spares_prepare(dir, LOG_RECORDS);
    close(dir);
}

static void stay_on(int cpu)
{
    cpu_set_t allowed, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof allowed, &allowed))
        return;
    cpu %= CPU_COUNT(&allowed);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &allowed) && cpu-- == 0)
            CPU_SET(i, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Runs all writers at once. Returns 0 or -1. */
static int run(const char *what, long count, int writers, struct answer *answers)
{
    int go[2], right = pipe(go);
    for (int w = 0; w < writers && !right; w++) {
        if (!strcmp(what, "first-lap"))
            prepare_spare();
        pid_t pid = fork();
        if (pid == 0) {
            char word;
            close(go[1]);
            stay_on(w);
            if (read(go[0], &word, 1) == 0) /* all writers have started */
                measure(what, count, &answers[w]);
            _exit(0);
        }
        right = pid < 0;
    }
    close(go[0]);
    close(go[1]);
    for (int status; wait(&status) > 0;)
        right |= status;
    return right ? -1 : 0;
}

int main(int count, char **arguments)
{
    const char *what = count > 2 ? arguments[1] : "";
    long times = count > 2 ? atol(arguments[2]) : 0, writers = count > 3 ? atol(arguments[3]) : 1;
    static const char *const known[] = {"rdtsc", "rdtsc-fenced", "event",           "event-fenced",
                                        "off",   "first-lap",    "first-lap-alone", NULL};
    int i = 0;
    while (known[i] && strcmp(known[i], what))
        i++;
    if (!known[i] || times < 1 || writers < 1 || writers > 1024 || (i >= 5 && times > (long)LOG_RECORDS / 2)) {
        fprintf(stderr, "usage: bench-events rdtsc|rdtsc-fenced|event|event-fenced|off|first-lap|first-lap-alone COUNT "
                        "[WRITERS]\n");
        return 2;
    }
    char directory[] = SF_SESSION_PARENT "/" SF_SESSION_PREFIX "bench-XXXXXX";
    struct answer *answers = mmap(NULL, (size_t)writers * sizeof *answers, PROT_READ | PROT_WRITE,
                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0),
                  mean = {0, 0};
    if (answers == MAP_FAILED || sf_log_init() || make_session(directory))
        return perror("bench-events"), 1;
    int error = !strcmp(what, "off") ? 0 : sf_log_attach(directory);
    if (!error)
        error = run(what, times, (int)writers, answers);
    remove_session(directory);
    if (error)
        return fprintf(stderr, "bench-events: a writer failed\n"), 1;
    mean.right = times;
    for (long w = 0; w < writers; w++) {
        mean.ns += answers[w].ns / writers;
        mean.right = answers[w].right < mean.right ? answers[w].right : mean.right;
    }
    printf("{\"ns\": %lld, \"right\": %ld}\n", (long long)mean.ns, mean.right);
    return fflush(stdout) ? 1 : 0;
}
