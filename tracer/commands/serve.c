/* snakefish-trace serve: collects for a program that already runs. snakefish.trace.start() starts it and reads its
 * standard output, a socket. abi/launch.h says what they say to each other.
 *
 * The collector detaches before it writes anything. It is then no child of the program, has no terminal, and holds
 * none of the program's files but that socket and standard error. The first process waits until the collector has
 * started, and its exit status says whether it has. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi/launch.h"
#include "base/liveness.h"
#include "collect/recording.h"
#include "collect/start.h"
#include "commands/commands.h"

static const char usage[] =
    "usage: snakefish-trace serve -o FILE --root PID [--log-records N] [--kernel] [--sample HZ]\n"
    "\n"
    "Collects from process PID and its descendants until one of them stops the session or PID has ended. Detaches\n"
    "from the caller. Writes to standard output `session DIR`, and at the end `done` or `error MESSAGE`. Used by\n"
    "snakefish.trace.start().\n"
    "\n"
    "  --root PID  the process\n"
    "  -o, --output FILE, --log-records N, --kernel, --sample HZ: as for `record`\n"
    "\n"
    "exit status  0 the collector has started; 1 it has not; 2 wrong usage\n";

static volatile sig_atomic_t terminated;
static struct recording recording;

static void on_term(int signal)
{
    int error = errno;
    (void)signal;
    terminated = 1;
    if (recording.session.header)
        session_wake(&recording.session);
    errno = error;
}

static enum collect_verdict watch_root(void *arg)
{
    return terminated ? COLLECT_STOP : liveness_is_over(arg) ? COLLECT_LAST : COLLECT_ON;
}

/* Waits for the program's word, where standard output is a socket. Whether to collect: also when the program is over.
 */
static bool may_go(struct liveness *root)
{
    struct pollfd socket = {.fd = STDOUT_FILENO, .events = POLLIN};
    char byte;
    while (!terminated && !liveness_is_over(root)) {
        ssize_t n = recv(STDOUT_FILENO, &byte, 1, MSG_DONTWAIT);
        if (n == 1)
            return byte != SF_COLLECTOR_CANCEL;
        if (n == 0 || (errno != EAGAIN && errno != EINTR)) /* closed by the program, or a pipe */
            return true;
        poll(&socket, 1, 100); /* a child of the program may keep the other end open */
    }
    return true;
}

/* Undoes what was inherited from the program: signal dispositions and masks, and all descriptors but standard output,
 * standard error and `keep`, which becomes descriptor 3. */
static void drop_inherited(int keep)
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
    if (null > STDERR_FILENO)
        close(null);
    recording_raise_limit(&files);
}

struct wishes {
    const char *path;
    pid_t root;
    uint32_t log_records, sample_hz; /* sample_hz 0: no samples */
    bool kernel;
};

/* The collector, detached. A byte into `ready` tells the first process that it has started. */
static int serve(const struct wishes *wishes, int ready)
{
    struct sentence why;
    struct liveness root;
    char command[4096];

    drop_inherited(ready);
    ready = 3;
    liveness_open(&root, wishes->root, 0);
    if (recording_open(&recording, wishes->path, wishes->log_records, &why)) {
        output_line("error %s", why.text);
        return COMMAND_FAILED;
    }
    session_set_sample_hz(&recording.session, wishes->sample_hz);
    start_command_of(command, sizeof command, wishes->root);
    if (start_database(recording.store, &recording.session, &recording.clock, command, wishes->root)) {
        output_line("error %s", store_why(recording.store)->text);
        recording_discard(&recording);
        return COMMAND_FAILED;
    }
    recording.kernel = command_kernel(wishes->kernel, recording.store, &recording.clock, wishes->root);
    output_line("session %s", recording.session.dir);
    while (write(ready, "", 1) < 0 && errno == EINTR)
        ;
    close(ready);
    if (!may_go(&root)) {
        recording_discard(&recording);
        liveness_close(&root);
        return COMMAND_OK;
    }

    int error = recording_run(&recording, watch_root, &root, &why);
    if (!error)
        error = session_remove(&recording.session, &why);
    if (error) {
        output_line("error %s", why.text);
        output_note("%s", why.text); /* the program, which reads the socket, may be gone */
    } else {
        output_line("done");
    }
    liveness_close(&root);
    session_close(&recording.session);
    return error ? COMMAND_FAILED : COMMAND_OK;
}

static int detach(const struct wishes *wishes)
{
    int ready[2], status = COMMAND_FAILED;
    char byte;
    syscall(SYS_close_range, (unsigned)STDERR_FILENO + 1, ~0u, 0u); /* the program's that are not close-on-exec */
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
        exit(serve(wishes, ready[1]));
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
        status = n == 1 ? COMMAND_OK : COMMAND_FAILED; /* the end of the pipe without a byte: it gave up or died */
    }
    close(ready[0]);
    return status;
}

int cmd_serve(int argc, char **argv)
{
    static const struct option options[] = {{"output", required_argument, NULL, 'o'},
                                            {"root", required_argument, NULL, 'r'},
                                            {"log-records", required_argument, NULL, 'l'},
                                            {"kernel", no_argument, NULL, 'k'},
                                            {"sample", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct command_line line = command_line(argc, argv, "+:ho:", options, usage);
    struct wishes wishes = {.log_records = SF_LOG_DEFAULT_RECORDS};
    long root = 0;
    for (int next; (next = command_next(&line)) != COMMAND_END;) {
        char *end = NULL;
        if (next == 'o')
            wishes.path = optarg;
        else if (next == 'k')
            wishes.kernel = true;
        else if (next == 'r' && ((root = strtol(optarg, &end, 10)) <= 0 || root > INT_MAX || *end))
            return command_usage(usage, "--root must be a process id, not %s", optarg);
        else if (next == 'l' && !(wishes.log_records = command_log_records(optarg)))
            return command_usage(usage, "--log-records must be a power of two from 256 to 16777216, not %s", optarg);
        else if (next == 's' && !(wishes.sample_hz = command_sample_hz(optarg)))
            return command_usage(usage, "--sample must be a number from 1 to %u, not %s", SF_SAMPLE_HZ_MAX, optarg);
        else if (next == COMMAND_OPERAND)
            return command_usage(usage, "serve takes options only, not %s", optarg);
    }
    if (line.status != COMMAND_GO_ON)
        return line.status;
    if (!wishes.path || !root)
        return command_usage(usage, "serve needs -o and --root");
    wishes.root = (pid_t)root;
    return detach(&wishes);
}
