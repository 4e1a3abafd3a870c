/* snakefish-trace serve: collects for a program that runs already. snakefish.trace.start() starts it and reads its
 * standard output, a pipe: one line "session DIR" or "error SENTENCE", later "done" or "error SENTENCE", then its
 * end.
 *
 * The collector detaches before it says anything: it is nobody's child that could be waited for, in no session with
 * a terminal, and holds none of the program's files but that pipe and standard error. The first process stays until
 * the collector is at work and tells by its exit status whether it is. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/liveness.h"
#include "collect/collect.h"
#include "collect/start.h"
#include "commands/commands.h"

static const char usage[] =
    "usage: snakefish-trace serve -o FILE --root PID [--log-records N] [--kernel]\n"
    "\n"
    "Collects from process PID and its descendants until one of them stops the session or PID has ended.\n"
    "Detaches, and says on standard output `session DIR` and at the end `done`, or `error SENTENCE`.\n"
    "snakefish.trace.start() uses it. The options are those of `record`.\n"
    "\n"
    "  --root PID   the process\n"
    "\n"
    "exit status  0 a collector is at work; 1 it is not; 2 wrong usage\n";

static volatile sig_atomic_t terminated;
static struct session session;

static void on_term(int signal)
{
    int error = errno;
    (void)signal;
    terminated = 1;
    if (session.header)
        session_ring(&session);
    errno = error;
}

static enum collect_verdict watch(void *arg)
{
    return terminated ? COLLECT_STOP : liveness_is_over(arg) ? COLLECT_LAST : COLLECT_ON;
}

/* Signals as a collector wants them, whatever the program had set; descriptors 0, 1, 2 and `keep` only. */
static void settle(int keep)
{
    static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGTSTP, SIGTTOU, SIGTTIN};
    struct sigaction action = {.sa_handler = SIG_DFL};
    struct rlimit files;
    sigset_t none;
    for (int s = 1; s < NSIG; s++)
        sigaction(s, &action, NULL);
    action.sa_handler = SIG_IGN;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        sigaction(ignored[i], &action, NULL);
    action.sa_handler = on_term;
    sigaction(SIGTERM, &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(keep, 3) == 3 && syscall(SYS_close_range, 4u, ~0u, 0u))
        for (int fd = 4; fd < 1024; fd++)
            close(fd);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    if (fcntl(STDERR_FILENO, F_GETFD) < 0 && null >= 0)
        dup2(null, STDERR_FILENO);
    if (null > 2)
        close(null);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max; /* up to three descriptors for each traced process */
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* The collector, detached. Tells the first process by a byte into `ready` that it is at work. */
static int serve(const char *path, uint32_t log_records, pid_t root_pid, bool with_kernel, int ready)
{
    struct store *store;
    struct sentence why;
    struct clock clock;
    struct liveness root;
    char command[4096];

    settle(ready);
    ready = 3;
    liveness_open(&root, root_pid, 0);
    if (store_create(&store, path, &why)) {
        output_line("error %s", why.text);
        return COMMAND_FAILED;
    }
    clock_start(&clock);
    int error = session_make(&session, log_records, clock.first.tsc, &why);
    if (!error) {
        start_command_of(command, sizeof command, root_pid);
        error = start_database(store, &session, &clock, command, root_pid);
        if (error) {
            why = *store_why(store);
            session_remove(&session, NULL);
        }
    }
    if (error) {
        output_line("error %s", why.text);
        store_discard(store);
        return COMMAND_FAILED;
    }
    struct kernel *kernel = command_kernel(with_kernel, store, &clock, root_pid);
    output_line("session %s", session.dir);
    while (write(ready, "", 1) < 0 && errno == EINTR)
        ;
    close(ready);

    struct collect_job job = {.session = &session,
                              .store = store,
                              .clock = &clock,
                              .kernel = kernel,
                              .store_rows = COLLECT_WHEN_SPARE,
                              .state = "complete",
                              .verdict = watch,
                              .arg = &root};
    error = collect_run(&job, &why);
    store_close(store);
    if (!error)
        error = session_remove(&session, &why);
    if (error) {
        output_line("error %s", why.text);
        output_note("%s", why.text); /* the program may be gone, and its pipe */
    } else {
        output_line("done");
    }
    liveness_close(&root);
    session_close(&session);
    return error ? COMMAND_FAILED : COMMAND_OK;
}

static int detach(const char *path, uint32_t log_records, pid_t root, bool kernel)
{
    int ready[2], status = COMMAND_FAILED;
    char byte;
    if (pipe2(ready, O_CLOEXEC)) {
        output_line("error no pipe: %s", strerror(errno));
        return COMMAND_FAILED;
    }
    pid_t middle = fork();
    if (middle == 0) {
        setsid();
        pid_t collector = fork();
        if (collector < 0)
            output_line("error cannot fork: %s", strerror(errno));
        if (collector)
            _exit(0);
        close(ready[0]);
        exit(serve(path, log_records, root, kernel, ready[1]));
    }
    int error = errno;
    close(ready[1]);
    if (middle < 0) {
        output_line("error cannot fork: %s", strerror(error));
    } else {
        while (waitpid(middle, NULL, 0) < 0 && errno == EINTR)
            ;
        ssize_t n;
        while ((n = read(ready[0], &byte, 1)) < 0 && errno == EINTR)
            ;
        status = n == 1 ? COMMAND_OK : COMMAND_FAILED; /* its end without a byte: the collector gave up or died */
    }
    close(ready[0]);
    return status;
}

int cmd_serve(int argc, char **argv)
{
    const char *path = NULL;
    uint32_t log_records = SF_LOG_DEFAULT_RECORDS;
    long root = 0;
    bool kernel = false;
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        if (command_help(argv[i], usage))
            return COMMAND_OK;
        if (strcmp(argv[i], "--kernel") == 0)
            kernel = true;
        else if (strcmp(argv[i], "-o") && strcmp(argv[i], "--root") && strcmp(argv[i], "--log-records"))
            return command_usage(usage, "serve knows no argument", argv[i]);
        else if (i + 1 == argc)
            return command_usage(usage, "a value is missing after", argv[i]);
        else if (strcmp(argv[i++], "-o") == 0)
            path = argv[i];
        else if (strcmp(argv[i - 1], "--root") == 0 && ((root = strtol(argv[i], &end, 10)) <= 0 || *end))
            return command_usage(usage, "not a process id", argv[i]);
        else if (strcmp(argv[i - 1], "--log-records") == 0 && !(log_records = command_log_records(argv[i])))
            return command_usage(usage, "not a power of two from 256 to 16777216", argv[i]);
    }
    if (!path || !root)
        return command_usage(usage, "serve needs -o and --root", NULL);
    return detach(path, log_records, (pid_t)root, kernel);
}
