#include "core/os/process_child.h"
#include "harness.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

static void nap_ms(long ms)
{
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
}

static bool lives(pid_t pid)
{
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 'X';
    fclose(file);
    return state != 'Z' && state != 'X';
}

static bool dies_within_ms(pid_t pid, long ms)
{
    for (; ms > 0 && lives(pid); ms--)
        nap_ms(1);
    return !lives(pid);
}

static void *shared_memory(void)
{
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

/* Forks a child that begins as ours do. */
static pid_t fork_child(bool *had_action)
{
    struct sf_process_child start;
    bool had = false;
    sf_process_child_prepare(&start, false);
    pid_t pid = fork();
    if (pid == 0)
        had = sf_process_child_begin(&start);
    else
        sf_process_child_forked(&start);
    if (had_action)
        *had_action = had;
    return pid;
}

static int status_of(pid_t child)
{
    int status;
    CHECK_EQ(child, waitpid(child, &status, 0));
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* ---- death with the parent ---- */

/* Forks a parent, which forks a child by `be_parent`; kills the parent; returns the child. */
static pid_t orphan(void (*be_parent)(pid_t *child))
{
    pid_t *child = shared_memory(), parent = fork();
    if (parent == 0) {
        be_parent(child);
        for (;;)
            pause();
    }
    while (!*(volatile pid_t *)child)
        nap_ms(1);
    nap_ms(20);
    CHECK(lives(*child));
    kill(parent, SIGKILL);
    waitpid(parent, NULL, 0);
    return *child;
}

static void fork_and_tell(pid_t *tell)
{
    if (fork_child(NULL))
        return;
    *tell = getpid();
    for (;;)
        pause();
}

static void *fork_in_thread(void *tell)
{
    fork_and_tell(tell);
    return NULL;
}

static void fork_by_other_thread(pid_t *tell)
{
    pthread_t thread;
    pthread_create(&thread, NULL, fork_in_thread, tell);
    pthread_join(thread, NULL);
}

TEST(a_child_dies_with_its_parent)
{
    CHECK(dies_within_ms(orphan(fork_and_tell), 2000));
}

TEST(a_child_forked_by_a_thread_outlives_the_thread_and_dies_with_the_parent)
{
    SKIP_UNDER_TSAN("keeps a signal from its handler while the process sleeps");
    CHECK(dies_within_ms(orphan(fork_by_other_thread), 2000)); /* orphan has checked that it outlived the thread */
}

static void fork_by_thread_of_a_threads_child(pid_t *tell)
{
    if (fork_child(NULL) == 0)
        fork_by_other_thread(tell);
}

TEST(so_does_a_threads_child_of_a_child)
{
    SKIP_UNDER_TSAN("keeps a signal from its handler while the process sleeps");
    CHECK(dies_within_ms(orphan(fork_by_thread_of_a_threads_child), 2000));
}

static void *exec_in_thread(void *child)
{
    pid_t pid = fork_child(NULL);
    if (pid == 0) {
        execl("/bin/sleep", "sleep", "0.3", (char *)NULL);
        _exit(1);
    }
    *(pid_t *)child = pid;
    nap_ms(100);
    return NULL;
}

TEST(a_program_that_a_threads_child_execs_outlives_the_thread)
{
    pthread_t thread;
    pid_t child;
    pthread_create(&thread, NULL, exec_in_thread, &child);
    pthread_join(thread, NULL);
    CHECK_EQ(0, status_of(child));
}

static volatile sig_atomic_t heard;

static void on_signal(int signal_number)
{
    (void)signal_number;
    heard++;
}

static void *fork_listener(void *unused)
{
    pid_t pid = fork_child(NULL);
    if (pid)
        return (void *)(intptr_t)pid;
    kill(getpid(), SIGURG);
    if (fork() == 0) { /* not watched over, though it has the handler */
        kill(getpid(), SIGURG);
        _exit(heard);
    }
    int status;
    wait(&status);
    _exit(10 * WEXITSTATUS(status) + heard);
    return unused;
}

TEST(a_handler_of_the_signal_that_tells_of_a_threads_end_goes_on_to_work)
{
    SKIP_UNDER_TSAN("keeps a signal from its handler while the process sleeps");
    pthread_t thread;
    void *child;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGURG, &action, NULL);
    pthread_create(&thread, NULL, fork_listener, NULL);
    pthread_join(thread, &child);
    int status = status_of((pid_t)(intptr_t)child); /* the thread's end may be heard too */
    CHECK(status / 10 >= 2 && status / 10 <= 3 && status % 10 >= 1);
}

TEST(a_child_whose_parent_is_dead_already_ends_at_once)
{
    struct sf_process_child start;
    sf_process_child_prepare(&start, false);
    start.parent = fork();
    if (start.parent == 0)
        _exit(0);
    waitpid(start.parent, NULL, 0);
    pid_t child = fork();
    if (child == 0) {
        sf_process_child_begin(&start);
        _exit(0);
    }
    CHECK_EQ(-SIGKILL, status_of(child));
}

/* ---- SIGTERM ---- */

static int terminated(void)
{
    pid_t child = fork_child(NULL);
    if (child == 0)
        for (;;)
            pause();
    kill(child, SIGTERM); /* perhaps before the child has begun */
    return status_of(child);
}

TEST(sigterm_ends_a_child_whose_parent_handles_ignores_or_blocks_it)
{
    struct sigaction handler = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    sigset_t set;
    for (int i = 0; i < 50; i++) {
        sigaction(SIGTERM, &handler, NULL);
        CHECK_EQ(-SIGTERM, terminated());
        sigaction(SIGTERM, &ignore, NULL);
        CHECK_EQ(-SIGTERM, terminated());
    }
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK_EQ(-SIGTERM, terminated());
}

TEST(the_parent_keeps_its_action_and_mask_and_the_child_is_told_that_there_was_one)
{
    bool had;
    struct sigaction now, handler = {.sa_handler = on_signal};
    sigset_t mask;
    pid_t child = fork_child(&had);
    if (child == 0)
        _exit(had);
    CHECK_EQ(0, status_of(child));
    sigaction(SIGTERM, &handler, NULL);
    child = fork_child(&had);
    if (child == 0)
        _exit(had);
    CHECK_EQ(1, status_of(child));
    sigaction(SIGTERM, NULL, &now);
    CHECK(now.sa_handler == on_signal);
    sigprocmask(SIG_SETMASK, NULL, &mask);
    CHECK(!sigismember(&mask, SIGTERM));
}

/* ---- the name ---- */

static void check_name(const char *given, const char *shown)
{
    char name[16];
    sf_process_child_name(given);
    prctl(PR_GET_NAME, name);
    CHECK(strcmp(shown, name) == 0);
}

TEST(a_name_is_cut_off_between_two_characters)
{
    check_name("", "");
    check_name("fifteen bytes..", "fifteen bytes..");
    check_name("sixteen bytes...", "sixteen bytes..");
    check_name("fourteen bytes\xc3\xa9", "fourteen bytes");
    check_name("\xe8\x9b\x87\xe8\x9b\x87\xe8\x9b\x87\xe8\x9b\x87\xe8\x9b\x87\xe8\x9b\x87",
               "\xe8\x9b\x87\xe8\x9b\x87\xe8\x9b\x87\xe8\x9b\x87\xe8\x9b\x87");
}

TEST_MAIN()
