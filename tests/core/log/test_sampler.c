/* When samples are due: by CPU time alone, in each thread and in each child. */
#include "core/log/sampler.h"

#include "core/log/log.h"
#include "core/log/log_session.h"
#include "harness.h"

#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#define MS 1000000ull
enum { HZ = 200, PERIOD_MS = 5 };

static volatile sig_atomic_t asked;
static struct sf_session_header *session;

static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The interpreter, which is asked to take a stack: takes what is due. */
static uint64_t taken_ns[SF_SAMPLER_THREADS], taken_count;
static bool takes = true;
static void ask(int signal)
{
    uint64_t thread;
    (void)signal;
    asked++;
    for (unsigned i = 0; takes && i < SF_SAMPLER_THREADS; i++) {
        uint64_t ns = sf_sampler_take(i, &thread);
        taken_ns[i] += ns;
        taken_count += ns > 0;
    }
}

static void begin(uint32_t hz)
{
    CHECK_EQ(0, sf_log_init());
    session = make_session("/dev/shm", 4096);
    session->sample_hz = hz;
    CHECK_EQ(0, sf_log_attach(directory));
    signal(SIGRTMIN + 4, ask);
    CHECK_EQ(0, sf_sampler_begin(SIGRTMIN + 4, SIGRTMIN + 5));
}

static void burn(uint64_t ms)
{
    uint64_t end_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) + ms * MS;
    volatile uint64_t x = 0;
    while (now_ns(CLOCK_THREAD_CPUTIME_ID) < end_ns)
        for (int i = 0; i < 10000; i++)
            x += (uint64_t)i;
}

/* What the log has of SAMPLE without a stack. */
static uint64_t rest_ns(pid_t pid)
{
    struct sf_log_header *log = open_log(pid, 4096);
    uint64_t ns = 0;
    for (uint64_t i = 0; log && i < log->head; i++)
        if (records_of(log)[i].kind == SF_EVENT_SAMPLE)
            ns += records_of(log)[i].a;
    return ns;
}

/* The first sample stands for a whole period. After the last one up to one and a half are left, and a deadline that the
 * kernel has not noticed yet: it looks at its ticks, which may come late in a virtual machine. */
static void check_ns(uint64_t used_ms, uint64_t ns)
{
    uint64_t least_ms = used_ms > 5 * PERIOD_MS ? used_ms - 5 * PERIOD_MS : 0;
    if (ns < least_ms * MS || ns > (used_ms + PERIOD_MS) * MS + used_ms * MS / 10)
        FAIL("the samples stand for %llu ns of %llu ms", (unsigned long long)ns, (unsigned long long)used_ms);
}

TEST(the_samples_of_a_thread_stand_for_its_cpu_time)
{
    begin(HZ);
    uint64_t before_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    burn(400);
    sf_sampler_end();
    uint64_t used_ns = now_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns, rest = rest_ns(getpid());
    remove_session();
    check_ns(used_ns / MS, taken_ns[0] + rest);
    CHECK(taken_count > 400 / PERIOD_MS / 3); /* of 80: the kernel's ticks, and how long it is kept from the CPU */
    int before = asked;
    burn(30);
    CHECK_EQ(before, asked);
}

TEST(a_thread_that_sleeps_is_not_asked)
{
    begin(1000);
    burn(20);
    int before = asked, interrupted = 0;
    uint64_t end_ns = now_ns(CLOCK_MONOTONIC) + 300 * MS; /* 300 periods, if sleeping counted */
    struct timespec end = {(time_t)(end_ns / 1000000000), (long)(end_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL))
        interrupted++;
    remove_session();
    CHECK(interrupted <= 20); /* once, and again where a tick of the kernel's meets what little it runs after that */
    CHECK(asked <= before + 20);
}

TEST(a_child_is_sampled_by_its_own_time_and_its_rest_is_written_at_its_end)
{
    begin(HZ);
    burn(40);
    pid_t child = fork();
    if (child == 0) {
        memset(taken_ns, 0, sizeof taken_ns);
        burn(100);
        sf_sampler_finish();
        uint64_t ns = taken_ns[0] + rest_ns(getpid());
        check_ns(100, ns);
        _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    remove_session();
    CHECK_EQ(0, status);
}

TEST(short_children_have_together_as_many_samples_as_their_time_has_periods)
{
    enum { CHILDREN = 60, EACH_MS = 4 };
    begin(HZ);
    uint64_t together_ns = 0;
    for (int i = 0; i < CHILDREN; i++) {
        int status;
        pid_t child = fork();
        if (child == 0) {
            takes = false; /* so all of it is the rest */
            burn(EACH_MS);
            sf_sampler_finish();
            _exit(0);
        }
        waitpid(child, &status, 0);
        CHECK_EQ(0, status);
        uint64_t ns = rest_ns(child);
        CHECK(ns <= 3 * PERIOD_MS * MS);
        together_ns += ns;
    }
    remove_session();
    /* Of 240 ms. A deadline in the last tick of a child is not noticed any more. */
    if (together_ns < 40 * MS || together_ns > 500 * MS)
        FAIL("%llu ns", (unsigned long long)together_ns);
}

static void *burn_in_thread(void *arg)
{
    sf_sampler_enter();
    burn(100);
    sf_sampler_leave();
    return arg;
}

TEST(another_thread_wakes_the_main_thread_which_takes_what_is_due_there)
{
    begin(HZ);
    pthread_t thread;
    CHECK_EQ(0, pthread_create(&thread, NULL, burn_in_thread, NULL));
    CHECK_EQ(0, pthread_join(thread, NULL));
    uint64_t rest = rest_ns(getpid());
    remove_session();
    check_ns(100, taken_ns[1] + rest);
    CHECK(asked > 3);
}

TEST(without_a_rate_there_are_no_samples_and_the_signal_keeps_its_handler)
{
    begin(0);
    burn(50);
    struct sigaction now;
    CHECK_EQ(0, sigaction(SIGRTMIN + 4, NULL, &now));
    remove_session();
    CHECK(now.sa_handler == ask && !sf_sampler_is_on());
    CHECK_EQ(0, asked);
}

TEST(the_programs_profiling_timer_is_not_used)
{
    begin(1000);
    burn(50);
    struct sigaction now;
    CHECK_EQ(0, sigaction(SIGPROF, NULL, &now));
    remove_session();
    CHECK(now.sa_handler == SIG_DFL && asked > 0);
}

TEST_MAIN()
