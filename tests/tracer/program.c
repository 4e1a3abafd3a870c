/* A traced program for the tests of the commands, in place of Python. Its arguments say what it does.
 *
 *   program run N           forks a child as a Thread with a Channel; N messages; joins it
 *   program marks N         writes N marks
 *   program marks-slow N    the same, one each millisecond
 *   program die SIGNAL      opens spans and is killed by that signal
 *   program exit STATUS     writes a mark and exits so
 *   program kill-child      its child is killed inside spans
 *   program sleep SECONDS   marks, then sleeps
 *   program orphan SECONDS  leaves a child that writes for so long */
#include "tracer/writer.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static const char *dir;

static void pause_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static void start_task(uint32_t task, const char *name)
{
    writer_text(task + 100, name);
    W_INSTANT(TASK, task, task + 100, SF_TASK_THREAD);
}

static void run_child(long n)
{
    writer_open(dir, 1, "worker");
    W_INSTANT(START, 1, (uint64_t)getppid(), 0);
    W_BEGIN(RUN, 1, 0, 0);
    for (long i = 1; i <= n; i++) {
        W_BEGIN(SEND, 7, 0, 0);
        W_END(SEND, 7, (uint64_t)i, 64);
    }
    W_END(RUN, 1, SF_OUTCOME_RETURNED, 0);
    W_BEGIN(RESULT, 1, 0, 0);
    W_END(RESULT, 1, 10, 0);
    W_INSTANT(EXIT, 1, 0, 0);
    _exit(0);
}

static void run(long n)
{
    int status;
    W_INSTANT(CHANNEL, 7, 65536, 0);
    start_task(1, "sender \"quoted\" \xc3\xa4 of messages");
    W_BEGIN(FORK, 1, 0, 0);
    pid_t pid = fork();
    if (pid == 0)
        run_child(n);
    W_END(FORK, 1, (uint64_t)pid, 0);
    W_BEGIN(JOIN, 1, 0, 0);
    W_BEGIN(WAIT, 0, SF_WAIT_CHILD, 1);
    waitpid(pid, &status, 0);
    W_INSTANT(REAP, 1, (uint64_t)pid, 0);
    W_END(WAIT, 0, SF_WAIT_CHILD, 1);
    W_BEGIN(MERGE, 1, 0, 0);
    W_END(MERGE, 1, 0, 0);
    W_END(JOIN, 1, 0, 0);
    for (long i = 1; i <= n; i++) {
        W_BEGIN(RECEIVE, 7, 0, 0);
        W_END(RECEIVE, 7, (uint64_t)i, 64);
    }
}

static void kill_child(void)
{
    int status;
    start_task(1, "victim");
    W_BEGIN(FORK, 1, 0, 0);
    pid_t pid = fork();
    if (pid == 0) {
        writer_open(dir, 1, "victim");
        W_INSTANT(START, 1, (uint64_t)getppid(), 0);
        W_BEGIN(RUN, 1, 0, 0);
        W_BEGIN(RECEIVE, 7, 0, 0);
        raise(SIGKILL);
    }
    W_END(FORK, 1, (uint64_t)pid, 0);
    waitpid(pid, &status, 0);
    W_INSTANT(REAP, 1, (uint64_t)pid, (uint64_t)(int64_t)-WTERMSIG(status));
}

/* Returns in the parent once the child has its log: a child that had none would not be waited for. */
static void leave_orphan(long seconds)
{
    int ready[2];
    char nothing;
    if (pipe(ready))
        abort();
    if (fork() == 0) {
        writer_open(dir, 0, "orphan");
        close(ready[1]);
        close(STDOUT_FILENO); /* its reader should wait for the program only */
        close(STDERR_FILENO);
        for (long i = 0; i < seconds * 1000; i++) {
            W_INSTANT(MARK, 0, 0, 0);
            pause_ms(1);
        }
        exit(0);
    }
    close(ready[1]);
    while (read(ready[0], &nothing, 1) > 0)
        ;
    close(ready[0]);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    long n = argc > 2 ? atol(argv[2]) : 0;
    dir = getenv(SF_SESSION_ENV);
    if (!dir)
        return fprintf(stderr, "program: no session\n"), 99;
    if (getenv("SNAKEFISH_TRACE"))
        return fprintf(stderr, "program: SNAKEFISH_TRACE is still set\n"), 98;
    int error = writer_open(dir, 0, "program");
    if (error)
        return fprintf(stderr, "program: %s\n", strerror(-error)), 97;
    writer_text(1, "a mark");
    if (strcmp(what, "run") == 0)
        run(n);
    for (long i = 0; strncmp(what, "marks", 5) == 0 && i < n; i++) {
        W_INSTANT(MARK, 1, (uint64_t)i, 0);
        if (strcmp(what, "marks-slow") == 0)
            pause_ms(1);
    }
    if (strcmp(what, "die") == 0) {
        W_BEGIN(SPAN, 1, 0, 0);
        W_BEGIN(MAP, 3, 0, 0);
        raise((int)n);
    }
    if (strcmp(what, "exit") == 0) {
        W_INSTANT(MARK, 1, 0, 0);
        return (int)n;
    }
    if (strcmp(what, "kill-child") == 0)
        kill_child();
    if (strcmp(what, "sleep") == 0) {
        W_INSTANT(MARK, 1, 0, 0);
        printf("ready\n");
        fflush(stdout);
        pause_ms(n * 1000);
        W_INSTANT(MARK, 1, 1, 0);
    }
    if (strcmp(what, "orphan") == 0)
        leave_orphan(n);
    return 0;
}
