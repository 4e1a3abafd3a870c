#include "core/os/signal_delay.h"
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static volatile sig_atomic_t calls, others;

static void on_signal(int number)
{
    (void)number;
    calls++;
}

static void on_other(int number)
{
    (void)number;
    others++;
}

static void handle(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(SIGUSR1, &action, NULL);
    calls = others = 0;
}

static void *send_to_itself(void *unused)
{
    pthread_kill(pthread_self(), SIGUSR1);
    return unused;
}

TEST(a_signal_is_handled_at_the_last_end_whichever_thread_took_it)
{
    struct sigaction now;
    pthread_t thread;
    handle(on_signal);
    sf_signal_delay_begin(SF_SIGNAL_DELAY_ALL);
    sf_signal_delay_begin(SF_SIGNAL_DELAY_ALL);
    pthread_create(&thread, NULL, send_to_itself, NULL);
    pthread_join(thread, NULL);
    sf_signal_delay_end();
    CHECK_EQ(0, calls);
    sf_signal_delay_end();
    CHECK_EQ(1, calls);
    sigaction(SIGUSR1, NULL, &now);
    CHECK(now.sa_handler == on_signal);
    raise(SIGUSR1);
    CHECK_EQ(2, calls);
}

TEST(a_signal_that_is_not_asked_for_is_handled_at_once)
{
    handle(on_signal);
    sf_signal_delay_begin(SF_SIGNAL_DELAY_ALL & ~sf_signal_delay_bit(SIGUSR1));
    raise(SIGUSR1);
    CHECK_EQ(1, calls);
    sf_signal_delay_end();
    CHECK_EQ(1, calls);
    sf_signal_delay_begin(sf_signal_delay_bit(SIGUSR1));
    raise(SIGUSR1);
    CHECK_EQ(1, calls);
    sf_signal_delay_end();
    CHECK_EQ(2, calls);
}

TEST(a_handler_that_was_set_meanwhile_stays_and_gets_the_signal)
{
    struct sigaction other = {.sa_handler = on_other};
    handle(on_signal);
    sf_signal_delay_begin(SF_SIGNAL_DELAY_ALL);
    raise(SIGUSR1);
    sigaction(SIGUSR1, &other, NULL);
    sf_signal_delay_end();
    CHECK_EQ(0, calls);
    CHECK_EQ(1, others);
}

static int status_of(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(a_child_that_adopts_delays_its_own_signals_only)
{
    handle(on_signal);
    sf_signal_delay_begin(SF_SIGNAL_DELAY_ALL);
    raise(SIGUSR1); /* the parent's */
    pid_t child = fork();
    if (child == 0) {
        sf_signal_delay_adopt();
        sf_signal_delay_end();
        if (calls)
            _exit(1);
        sf_signal_delay_begin(SF_SIGNAL_DELAY_ALL);
        raise(SIGUSR1);
        if (calls)
            _exit(2);
        sf_signal_delay_end();
        _exit(calls == 1 ? 0 : 3);
    }
    CHECK_EQ(0, status_of(child));
    sf_signal_delay_end();
    CHECK_EQ(1, calls);
}

TEST(another_process_forked_meanwhile_handles_signals_at_once)
{
    handle(on_signal);
    sf_signal_delay_begin(SF_SIGNAL_DELAY_ALL);
    raise(SIGUSR1);
    pid_t child = fork();
    if (child == 0) {
        raise(SIGUSR1);
        if (calls != 1)
            _exit(1);
        sf_signal_delay_end();
        raise(SIGUSR1);
        _exit(calls == 2 ? 0 : 2);
    }
    CHECK_EQ(0, status_of(child));
    sf_signal_delay_end();
    CHECK_EQ(1, calls);
}

TEST_MAIN()
