/* See sampler.h.
 *
 * Invariants
 * - sampled[0] is the interpreter's main thread, and has timers while `on`.
 * - The handler runs in the thread that its place is of, or, just after that thread has left, in none: it finds the
 * place by the value that the signal carries, and only it writes there while there are timers, but for due_ns. */
#include "core/log/sampler.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/log/log.h"
#include "core/os/debug.h"
#include "core/os/tsc.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid /* of older C libraries */
#endif

struct sampled {
    pid_t tid; /* 0: the place is free */
    uint64_t thread;
    timer_t cpu_timer, delay_timer;
    uint64_t target_ns, interval_ns; /* when the next sample is due: of the thread's CPU time; since the one before */
    long waits;                      /* how often the thread had waited when it was last seen to run */
    uint64_t random;                 /* the generator's state */
    _Atomic uint64_t due_ns;         /* CPU time that no sample stands for yet */
};

static struct sampled sampled[SF_SAMPLER_THREADS];
static __thread unsigned own_place __attribute__((tls_model("initial-exec"))); /* + 1; 0: this thread has none */
static int sample_signal, wake_signal;
static void (*ask)(int); /* the interpreter's handler of sample_signal */
static uint64_t period_ns;
static bool on;

/* A number below `end`: the generator is xorshift64 (Marsaglia 2003), because the handler may not call rand(). */
static uint64_t random_below(struct sampled *mine, uint64_t end)
{
    mine->random ^= mine->random << 13;
    mine->random ^= mine->random >> 7;
    mine->random ^= mine->random << 17;
    return mine->random % end;
}

static int set_timer(timer_t timer, int flags, uint64_t ns)
{
    struct itimerspec times = {.it_value = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)}};
    return timer_settime(timer, flags, &times, NULL) ? -errno : 0;
}

enum { CPU, DELAY, TIMERS }; /* a timer's value is its place * TIMERS + one of these */

static uint64_t cpu_time_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* How often this thread has waited for something. */
static long waits(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_nvcsw;
}

/* The time has come: asks for a sample, and sets the next time. Several at once where the kernel was late. */
static void come_due(struct sampled *mine, uint64_t now_ns, int signal)
{
    while (mine->target_ns <= now_ns) {
        atomic_fetch_add_explicit(&mine->due_ns, mine->interval_ns, memory_order_relaxed);
        mine->interval_ns = period_ns * 4 / 5 + random_below(mine, period_ns * 2 / 5);
        mine->target_ns += mine->interval_ns;
    }
    if (mine == sampled)
        ask(signal);
    else
        syscall(SYS_tgkill, getpid(), sampled[0].tid, wake_signal);
}

/* CPU time that shows that a thread runs again: more than what is left to do in the handler. */
enum { RUNS_NS = 100000 };

/* The thread runs, or has run until it was interrupted. The delay passes on the machine's clock, so the thread may have
 * had less CPU time than that: if it had to give its CPU away, the rest is waited for again. If it waits, or has
 * waited, a delay would wake it; then the CPU timer is to say when it runs again. The kernel notices that at its next
 * tick only, which is when it takes a CPU from a thread, too: samples at those times alone would lie on a grid. */
static void look(struct sampled *mine, bool is_running, int signal)
{
    uint64_t now_ns = cpu_time_ns();
    long before = mine->waits;
    mine->waits = waits();
    if (mine->target_ns <= now_ns)
        come_due(mine, now_ns, signal);
    if (is_running || mine->waits == before)
        set_timer(mine->delay_timer, 0, mine->target_ns - now_ns);
    else
        set_timer(mine->cpu_timer, TIMER_ABSTIME, now_ns + RUNS_NS);
}

static void on_sample_signal(int signal, siginfo_t *info, void *context)
{
    int error = errno;
    unsigned value = (unsigned)info->si_value.sival_int;
    (void)context;
    if (info->si_code == SI_TIMER && value < SF_SAMPLER_THREADS * TIMERS)
        look(&sampled[value / TIMERS], value % TIMERS == CPU, signal);
    errno = error;
}

static void on_wake_signal(int signal)
{
    int error = errno;
    (void)signal;
    ask(sample_signal);
    errno = error;
}

static int make_timer(timer_t *timer, clockid_t clock, const struct sampled *mine, int which)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sample_signal};
    event.sigev_value.sival_int = (int)(mine - sampled) * TIMERS + which;
    event.sigev_notify_thread_id = mine->tid;
    return timer_create(clock, &event, timer) ? -errno : 0;
}

/* Gives the calling thread its timers. 0 or -errno. */
static int start_timers(unsigned place)
{
    struct sampled *mine = &sampled[place];
    *mine = (struct sampled){.tid = (pid_t)syscall(SYS_gettid), .thread = (uint64_t)pthread_self()};
    if (getrandom(&mine->random, sizeof mine->random, GRND_NONBLOCK) != sizeof mine->random)
        mine->random = sf_tsc_read();
    mine->random |= 1; /* it must not be 0 */
    uint64_t first_ns = 1 + random_below(mine, period_ns);
    mine->target_ns = cpu_time_ns() + first_ns;
    mine->interval_ns = period_ns;
    mine->waits = waits();
    int error = make_timer(&mine->cpu_timer, CLOCK_THREAD_CPUTIME_ID, mine, CPU);
    if (!error && (error = make_timer(&mine->delay_timer, CLOCK_MONOTONIC, mine, DELAY)))
        timer_delete(mine->cpu_timer);
    if (error) {
        mine->tid = 0;
        return error;
    }
    own_place = place + 1;
    return set_timer(mine->delay_timer, 0, first_ns);
}

/* Writes what is due without a stack. By the thread itself. */
static void write_rest(unsigned place)
{
    uint64_t thread, ns = sf_sampler_take(place, &thread);
    if (ns && sf_log_enabled())
        sf_log_write(SF_EVENT_SAMPLE, SF_PHASE_INSTANT, 0, ns, sf_tsc_read());
}

void sf_sampler_finish(void)
{
    if (on)
        write_rest(0);
}

static void end_timers(unsigned place)
{
    if (sampled[place].tid) {
        timer_delete(sampled[place].cpu_timer);
        timer_delete(sampled[place].delay_timer);
    }
    sampled[place].tid = 0;
}

/* Sets the handlers. The timers' signal restarts system calls; the other is to end a wait of the main thread's. */
static int set_handlers(void)
{
    sigset_t mask;
    struct sigaction before;
    struct sigaction sample = {.sa_sigaction = on_sample_signal, .sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK};
    struct sigaction wake = {.sa_handler = on_wake_signal, .sa_flags = SA_ONSTACK};
    if (sigaction(sample_signal, NULL, &before))
        return -errno;
    if (before.sa_sigaction != on_sample_signal)
        ask = before.sa_handler;
    sigemptyset(&mask);
    sigaddset(&mask, sample_signal);
    sigaddset(&mask, wake_signal);
    if (sigaction(sample_signal, &sample, NULL) || sigaction(wake_signal, &wake, NULL))
        return -errno;
    return -pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
}

static void start_in_child(void)
{
    memset(sampled, 0, sizeof sampled);
    own_place = 0;
    on = on && sf_log_enabled() && sf_log_self.header;
    int error = on ? start_timers(0) : 0;
    if (error) {
        sf_debug(SF_DEBUG_LOG, "no samples in this process: %s", strerror(-error));
        on = false;
    }
}

int sf_sampler_begin(int signal, int waking_signal)
{
    static bool has_child_handler; /* inherited, like what it says */
    if (!sf_log_enabled() || !sf_log_self.session->sample_hz)
        return 0;
    sf_sampler_end(); /* of a session that is over */
    sample_signal = signal;
    wake_signal = waking_signal;
    period_ns = UINT64_C(1000000000) / sf_log_self.session->sample_hz;
    int error = set_handlers();
    if (!error && !has_child_handler) {
        error = -pthread_atfork(NULL, NULL, start_in_child);
        has_child_handler = !error;
    }
    if (!error)
        error = start_timers(0);
    on = !error;
    return error;
}

void sf_sampler_end(void)
{
    sf_sampler_finish();
    on = false;
    for (unsigned place = 0; place < SF_SAMPLER_THREADS; place++)
        end_timers(place);
}

bool sf_sampler_is_on(void)
{
    return on;
}

void sf_sampler_enter(void)
{
    if (!on || own_place)
        return;
    for (unsigned place = 1; place < SF_SAMPLER_THREADS; place++)
        if (!sampled[place].tid) {
            start_timers(place);
            return;
        }
}

void sf_sampler_leave(void)
{
    if (own_place > 1) {
        write_rest(own_place - 1);
        end_timers(own_place - 1);
    }
    own_place = 0;
}

uint64_t sf_sampler_take(unsigned thread, uint64_t *which)
{
    struct sampled *from = &sampled[thread];
    *which = from->thread;
    return atomic_load_explicit(&from->due_ns, memory_order_relaxed)
               ? atomic_exchange_explicit(&from->due_ns, 0, memory_order_relaxed)
               : 0;
}
