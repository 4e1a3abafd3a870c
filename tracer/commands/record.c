/* snakefish-trace record: runs a program and traces it.
 *
 * The program is our child, in our process group and with our standard streams, so it gets the terminal's signals
 * too. While it runs we ignore SIGINT and SIGQUIT and pass SIGTERM and SIGHUP on: the program decides what they do,
 * and the trace is finished after it in any case. If we are killed, the program goes on, and `collect` recovers its
 * logs. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collect/entry.h"
#include "collect/recording.h"
#include "collect/start.h"
#include "commands/commands.h"
#include "commands/summary.h"
#include "store/database.h"

static const char usage[] =
    "usage: snakefish-trace record [-o FILE] [-q] [--instrument LIBRARY] [--no-load] [--kernel] [--sample HZ]\n"
    "                              [--log-records N] [--] PROGRAM [ARGUMENT...]\n"
    "\n"
    "Runs the program with tracing on, in all its processes that are Python or use snakefish. The program's input,\n"
    "output and signals are its own; record writes to standard error only. It ends when the program has ended and the\n"
    "database is complete, with one line about what is in it.\n"
    "\n"
    "  -o, --output FILE  the database (snakefish.db). An older trace there is replaced, any other file refused\n"
    "  -q, --quiet        without that line; messages about what failed stay\n"
    "  --instrument LIBRARY\n"
    "                     record what the program does with this library, too: multiprocessing, concurrent.futures,\n"
    "                     loky, joblib, several of them with commas between, or all of them\n"
    "                     (SNAKEFISH_TRACE_INSTRUMENT in the environment does the same)\n"
    "  --no-load          only processes that import snakefish are traced. Otherwise every Python that is started "
    "loads\n"
    "                     it, unless it is told to ignore its environment (-I, -E) or its site (-S)\n"
    "                     (SNAKEFISH_TRACE_LOAD=no does the same)\n"
    "  --kernel           record the kernel's view too: times on and off the CPUs, page faults and waits, of the\n"
    "                     program and of every process that it starts. Needs root. Where the system does not allow\n"
    "                     it, a message says why, and the trace is made without\n"
    "  --sample HZ        take the stack of each thread of Python so often in each second of CPU time that it uses,\n"
    "                     1 to 1000; 199 is usual. The functions that the time was spent in are then in the trace\n"
    "  --log-records N    events that the log of one process holds until they are collected: a power of two from\n"
    "                     256 to 16777216 (131072, which is 4 MiB); fewer where memory is short. 64 times as\n"
    "                     many may wait to be stored\n"
    "\n"
    "exit status  the program's, or 128 + N if signal N killed it. If the program was not started: 1 no trace can be\n"
    "             made; 2 wrong usage; 126 the program cannot be run; 127 there is no such program\n"
    "files        /dev/shm/" SF_SESSION_PREFIX "... the logs, until they are in the database\n"
    "example      snakefish-trace record -o run.db -- python3 prog.py; snakefish-trace info run.db\n";

/* What the signal handler needs. */
static volatile sig_atomic_t program_pid;
static struct session *signal_session;

static void on_signal(int signal)
{
    int error = errno;
    if (signal != SIGCHLD && program_pid)
        kill(program_pid, signal);
    if (signal_session && signal_session->header)
        session_wake(signal_session);
    errno = error;
}

struct wishes {
    const char *path;
    uint32_t log_records, sample_hz; /* sample_hz 0: no samples */
    bool kernel, quiet;
    const char *instrument; /* for the program's environment; NULL: nothing is said */
    bool load;
};

struct program {
    pid_t pid;
    int status; /* of waitpid, when over */
    bool over;
    struct store *store;
};

/* Reaps the program if it has ended. `options` 0: waits until it has; then a signal may end the wait early. */
static void reap(struct program *program, int options)
{
    siginfo_t info = {0};
    if (program->over)
        return;
    int failed = waitid(P_PID, (id_t)program->pid, &info, WEXITED | WNOWAIT | options);
    if (failed && errno != ECHILD)
        return;
    if (!failed && !info.si_pid)
        return;      /* it runs */
    program_pid = 0; /* before its pid is free: the signal handler must never signal another process */
    waitpid(program->pid, &program->status, 0);
    program->over = true;
}

static enum collect_verdict watch_child(void *arg)
{
    struct program *program = arg;
    bool was_over = program->over;
    reap(program, WNOHANG);
    if (program->over && !was_over) {
        int status = program->status;
        store_reap(program->store, program->pid, clock_tsc(), 0,
                   WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
    }
    return program->over ? COLLECT_LAST : COLLECT_ON;
}

/* Would execvp find it? Checked before anything is made, so that a mistyped name replaces no older trace. */
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

static void set_handler(int signal, void (*handler)(int), struct sigaction *old)
{
    struct sigaction action = {.sa_handler = handler};
    sigaction(signal, &action, old);
}

/* In the child, before exec. */
static void set_environment(const struct session *session, const struct wishes *wishes)
{
    char entry[PATH_MAX];
    setenv(SF_SESSION_ENV, session->dir, 1);
    unsetenv("SNAKEFISH_TRACE");
    if (wishes->instrument)
        setenv(ENTRY_INSTRUMENT_ENV, wishes->instrument, 1);
    if (!wishes->load)
        setenv(ENTRY_LOAD_ENV, "no", 1);
    else if (entry_find(entry))
        entry_put(entry);
}

/* Forks and execs. files: the limit that the program gets. *error: the errno of execvp, 0 if it succeeded. -errno: the
 * fork failed. */
static int launch(struct program *program, const struct session *session, const struct wishes *wishes,
                  const struct rlimit *files, char **argv, int *error)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD};
    enum { SIGNALS = sizeof signals / sizeof *signals };
    struct sigaction old[SIGNALS];
    sigset_t all, mask;
    int result = 0, exec_failed[2];

    if (pipe2(exec_failed, O_CLOEXEC))
        return -errno;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &mask); /* until the pid is known, and the child has its own dispositions back */
    for (int i = 0; i < SIGNALS; i++)
        set_handler(signals[i], signals[i] == SIGINT || signals[i] == SIGQUIT ? SIG_IGN : on_signal, &old[i]);
    pid_t pid = fork();
    if (pid == 0) {
        close(session->fd); /* or the child would hold the session's lock until exec, also if the collector dies */
        setrlimit(RLIMIT_NOFILE, files);
        command_restore_file_size_signal();
        for (int i = 0; i < SIGNALS; i++)
            sigaction(signals[i], &old[i], NULL);
        sigprocmask(SIG_SETMASK, &mask, NULL);
        set_environment(session, wishes);
        execvp(argv[0], argv);
        *error = errno;
        while (write(exec_failed[1], error, sizeof *error) < 0 && errno == EINTR)
            ;
        _exit(127);
    }
    result = pid < 0 ? -errno : 0;
    program->pid = pid;
    program_pid = pid > 0 ? pid : 0;
    sigprocmask(SIG_SETMASK, &mask, NULL);
    close(exec_failed[1]);
    ssize_t n = 0;
    while (!result && (n = read(exec_failed[0], error, sizeof *error)) < 0 && errno == EINTR)
        ;
    close(exec_failed[0]);
    if (!result && n > 0) {
        program_pid = 0;
        waitpid(pid, NULL, 0);
    } else {
        *error = 0;
    }
    return result;
}

/* What a command's exit status is when its program ended with this status of waitpid. */
static int status_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int record(const struct wishes *wishes, char **argv)
{
    static struct recording recording;
    struct sentence why;
    struct rlimit files;
    char command[4096];
    int exec_error = 0;

    if (!can_find(argv[0])) {
        output_note("there is no program %s", argv[0]);
        return 127;
    }
    recording_raise_limit(&files);
    if (recording_open(&recording, wishes->path, wishes->log_records, &why)) {
        output_note("%s", why.text);
        return COMMAND_FAILED;
    }
    session_set_sample_hz(&recording.session, wishes->sample_hz);
    struct program program = {.store = recording.store};
    signal_session = &recording.session;
    recording.kernel = command_kernel(wishes->kernel, recording.store, &recording.clock, 0);
    int error = launch(&program, &recording.session, wishes, &files, argv, &exec_error);
    if (error || exec_error) {
        output_note("cannot run %s: %s", argv[0], strerror(exec_error ? exec_error : -error));
        signal_session = NULL;
        recording_discard(&recording);
        return !exec_error ? COMMAND_FAILED : exec_error == ENOENT ? 127 : 126;
    }
    start_command(command, sizeof command, argv);
    /* recording_run reports the store's errors */
    start_database(recording.store, &recording.session, &recording.clock, command, program.pid);
    error = recording_run(&recording, watch_child, &program, &why);
    if (error)
        output_note("%s", why.text);
    /* Where the trace ended first, wait: otherwise the caller would go on while the program uses its terminal. */
    while (!program.over)
        reap(&program, 0);
    if (!error) {
        if (session_remove(&recording.session, &why))
            output_note("%s", why.text);
        if (!wishes->quiet)
            summary_note(wishes->path);
    }
    program_pid = 0;
    signal_session = NULL;
    session_close(&recording.session);
    return status_of(program.status); /* also if the trace failed, which the message says: a script may depend on it */
}

/* Whether these words, with commas between, are libraries that snakefish/_instrument_later.py knows. */
static bool are_libraries(const char *words)
{
    static const char *const known[] = {"all", "multiprocessing", "concurrent.futures", "loky", "joblib"};
    for (const char *word = words;; word++) {
        size_t n = strcspn(word, ","), i = 0;
        while (i < sizeof known / sizeof *known && (strncmp(word, known[i], n) || known[i][n]))
            i++;
        if (i == sizeof known / sizeof *known)
            return false;
        word += n;
        if (!*word)
            return true;
    }
}

int cmd_record(int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"quiet", no_argument, NULL, 'q'},
                                            {"kernel", no_argument, NULL, 'k'},
                                            {"log-records", required_argument, NULL, 'l'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"instrument", required_argument, NULL, 'i'},
                                            {"no-load", no_argument, NULL, 'n'},
                                            {"sample", required_argument, NULL, 's'},
                                            {0}};
    struct command_line line = command_line(argc, argv, "+:hqo:", options, usage);
    struct wishes wishes = {.path = "snakefish.db", .log_records = SF_LOG_DEFAULT_RECORDS, .load = true};
    int next;
    while ((next = command_next(&line)) != COMMAND_END && next != COMMAND_OPERAND) {
        if (next == 'o')
            wishes.path = optarg;
        else if (next == 'q')
            wishes.quiet = true;
        else if (next == 'k')
            wishes.kernel = true;
        else if (next == 'n')
            wishes.load = false;
        else if (next == 'i' && !are_libraries(optarg))
            return command_usage(
                usage,
                "--instrument must be all, or some of multiprocessing, concurrent.futures, loky and joblib, "
                "not %s",
                optarg);
        else if (next == 'i')
            wishes.instrument = optarg;
        else if (next == 'l' && !(wishes.log_records = command_log_records(optarg)))
            return command_usage(usage, "--log-records must be a power of two from 256 to 16777216, not %s", optarg);
        else if (next == 's' && !(wishes.sample_hz = command_sample_hz(optarg)))
            return command_usage(usage, "--sample must be a number from 1 to %u, not %s", SF_SAMPLE_HZ_MAX, optarg);
    }
    if (line.status != COMMAND_GO_ON)
        return line.status;
    if (next != COMMAND_OPERAND)
        return command_usage(usage, "record needs the program to run");
    return record(&wishes, line.rest);
}
