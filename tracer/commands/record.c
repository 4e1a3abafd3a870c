/* snakefish-trace record: runs a program and traces it.
 *
 * The program is our child, in our process group and with our standard streams: what the terminal sends, it gets
 * too. We ignore SIGINT and SIGQUIT while it runs and pass SIGTERM and SIGHUP on, so that it decides, and we finish
 * after it in any case. If we are killed, it goes on, into logs that `collect` recovers. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/collect.h"
#include "collect/start.h"
#include "commands/commands.h"
#include "store/database.h"

static const char usage[] =
    "usage: snakefish-trace record [-o FILE] [--kernel] [--log-records N] -- PROGRAM [ARGUMENT...]\n"
    "\n"
    "Runs the program with tracing on, in all its processes that use snakefish. The program's input, output and\n"
    "signals are its own; what record has to say goes to standard error. Ends when the program has ended and the\n"
    "database is complete.\n"
    "\n"
    "  -o FILE          the database (snakefish.db); an older trace there is replaced, any other file refused\n"
    "  --kernel         the kernel's view as well: times on and off the CPUs, page faults, waits, of the program\n"
    "                   and of all that it starts, whatever it is; needs root. Where the system does not allow\n"
    "                   it, a sentence says why, and the trace goes on without\n"
    "  --log-records N  events that one process's log holds until they are collected, a power of two from 256 to\n"
    "                   16777216 (131072: 4 MiB); 64 times as many may wait to be stored\n"
    "\n"
    "exit status  the program's, 128 + N if signal N killed it; 1 the trace failed, 2 wrong usage, 126 the "
    "program\n"
    "             cannot be run, 127 it is not there\n"
    "files        /dev/shm/" SF_SESSION_PREFIX "... the logs, until they are in the database\n"
    "example      snakefish-trace record -o run.db -- python3 prog.py; snakefish-trace info run.db\n";

/* Signals and the loop share these. */
static volatile sig_atomic_t program_pid;
static struct session *signal_session;

static void on_signal(int signal)
{
    int error = errno;
    if (signal != SIGCHLD && program_pid)
        kill(program_pid, signal);
    if (signal_session && signal_session->header)
        session_ring(signal_session);
    errno = error;
}

struct program {
    pid_t pid;
    int status; /* of waitpid, once over */
    bool over;
    struct store *store;
};

static enum collect_verdict watch(void *arg)
{
    struct program *program = arg;
    if (!program->over && waitpid(program->pid, &program->status, WNOHANG) == program->pid) {
        int status = program->status;
        program->over = true;
        program_pid = 0; /* never signal a recycled pid */
        store_reap(program->store, program->pid, clock_tsc(),
                   WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    }
    return program->over ? COLLECT_LAST : COLLECT_ON;
}

/* Would execvp find it? Asked first, so that a typing error leaves nothing behind and replaces no trace. */
static bool can_find(const char *name)
{
    if (strchr(name, '/'))
        return access(name, F_OK) == 0;
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/bin:/usr/bin"; name[0]; at++) {
        char file[PATH_MAX];
        size_t n = strcspn(at, ":");
        snprintf(file, sizeof file, "%.*s/%s", n ? (int)n : 1, n ? at : ".", name);
        struct stat st;
        if (access(file, X_OK) == 0 && stat(file, &st) == 0 && S_ISREG(st.st_mode))
            return true;
        at += n;
        if (!*at)
            break;
    }
    return false;
}

static void act(int signal, void (*handler)(int), struct sigaction *old)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(signal, &action, old);
}

/* Forks and execs; *error is what execvp failed with, if it did. */
static int launch(struct program *program, const struct session *session, char **argv, int *error)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD};
    enum { SIGNALS = sizeof signals / sizeof *signals };
    struct sigaction old[SIGNALS];
    struct rlimit files, more;
    sigset_t all, mask;
    int result = 0, told[2];

    if (pipe2(told, O_CLOEXEC))
        return -errno;
    getrlimit(RLIMIT_NOFILE, &files);
    more = files;
    more.rlim_cur = more.rlim_max; /* up to three descriptors for each traced process */
    setrlimit(RLIMIT_NOFILE, &more);
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &mask); /* until the pid is known, and the child has its own dispositions back */
    for (int i = 0; i < SIGNALS; i++)
        act(signals[i], signals[i] == SIGINT || signals[i] == SIGQUIT ? SIG_IGN : on_signal, &old[i]);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_NOFILE, &files);
        for (int i = 0; i < SIGNALS; i++)
            sigaction(signals[i], &old[i], NULL);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        setenv(SF_SESSION_ENV, session->dir, 1);
        unsetenv("SNAKEFISH_TRACE");
        execvp(argv[0], argv);
        *error = errno;
        while (write(told[1], error, sizeof *error) < 0 && errno == EINTR)
            ;
        _exit(127);
    }
    result = pid < 0 ? -errno : 0;
    program->pid = pid;
    program_pid = pid > 0 ? pid : 0;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    close(told[1]);
    ssize_t n = 0;
    while (!result && (n = read(told[0], error, sizeof *error)) < 0 && errno == EINTR)
        ;
    close(told[0]);
    if (!result && n > 0) {
        program_pid = 0;
        waitpid(pid, NULL, 0);
    } else {
        *error = 0;
    }
    return result;
}

static int record(const char *path, uint32_t log_records, bool with_kernel, char **argv)
{
    static struct session session;
    struct sentence why;
    struct program program = {0};
    struct clock clock;
    char command[4096];
    int exec_error = 0, status = COMMAND_FAILED;

    if (!can_find(argv[0])) {
        output_note("there is no program %s", argv[0]);
        return 127;
    }
    if (store_create(&program.store, path, &why)) {
        output_note("%s", why.text);
        return COMMAND_FAILED;
    }
    clock_start(&clock);
    if (session_make(&session, log_records, clock.first.tsc, &why)) {
        output_note("%s", why.text);
        store_discard(program.store);
        return COMMAND_FAILED;
    }
    signal_session = &session;
    struct kernel *kernel = command_kernel(with_kernel, program.store, &clock, 0);
    int error = launch(&program, &session, argv, &exec_error);
    if (error || exec_error) {
        output_note("cannot run %s: %s", argv[0], strerror(exec_error ? exec_error : -error));
        kernel_close(kernel);
        session_remove(&session, NULL);
        store_discard(program.store);
        status = exec_error ? exec_error == ENOENT ? 127 : 126 : COMMAND_FAILED;
        goto out;
    }
    start_command(command, sizeof command, argv);
    start_database(program.store, &session, &clock, command, program.pid); /* an error sticks: collect_run tells */
    struct collect_job job = {.session = &session,
                              .store = program.store,
                              .clock = &clock,
                              .kernel = kernel,
                              .store_rows = COLLECT_WHEN_SPARE,
                              .state = "complete",
                              .verdict = watch,
                              .arg = &program};
    error = collect_run(&job, &why);
    if (error) {
        output_note("%s", why.text);
        while (!program.over && waitpid(program.pid, &program.status, 0) < 0 && errno == EINTR)
            ; /* its status is lost to our caller otherwise, and its terminal to it */
    } else if (session_remove(&session, &why)) {
        output_note("%s", why.text);
    }
    if (!error)
        status = WIFSIGNALED(program.status) ? 128 + WTERMSIG(program.status) : WEXITSTATUS(program.status);
    store_close(program.store);
out:
    program_pid = 0;
    signal_session = NULL;
    session_close(&session);
    return status;
}

int cmd_record(int argc, char **argv)
{
    const char *path = "snakefish.db";
    uint32_t log_records = SF_LOG_DEFAULT_RECORDS;
    bool kernel = false;
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (command_help(argv[i], usage))
            return COMMAND_OK;
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        if (strcmp(argv[i], "--kernel") == 0)
            kernel = true;
        else if ((strcmp(argv[i], "-o") && strcmp(argv[i], "--log-records")))
            return command_usage(usage, "record knows no option", argv[i]);
        else if (i + 1 == argc)
            return command_usage(usage, "a value is missing after", argv[i]);
        else if (argv[i++][1] == 'o')
            path = argv[i];
        else if (!(log_records = command_log_records(argv[i])))
            return command_usage(usage, "not a power of two from 256 to 16777216", argv[i]);
    }
    if (i >= argc)
        return command_usage(usage, "which program is to be run?", NULL);
    return record(path, log_records, kernel, argv + i);
}
