/* The collector that this process has started. See collector.h. */
#include "py/trace/collector.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "abi/launch.h"
#include "core/log/log.h"
#include "core/log/usage.h"
#include "core/os/monotonic.h"
#include "core/os/own_fd.h"
#include "core/os/process.h"
#include "py/base/errors.h"
#include "py/base/wait.h"

enum state { NONE, LAUNCHED, RUNNING, STOPPING, ABANDONED };

static const int64_t abandon_ns = 10 * SF_NS_PER_S; /* longer than a collector takes to end that is not stuck */

static struct {
    enum state state;
    PyObject *session; /* owned; NULL in state NONE */
    uint32_t owner;    /* the process that has launched it, by its sf_log_forks */
    pid_t launcher;    /* a child of the owner, until it is reaped; the collector itself is none. 0: there is none */
    struct sf_own_fd socket;
    char text[8192]; /* what was read and not taken yet */
    size_t bytes;
    bool ended; /* nothing more can be read */
} collector = {.socket = {.fd = -1}};

static bool is_there(PyObject *session)
{
    return collector.state != NONE && collector.owner == sf_log_forks() && (!session || collector.session == session);
}

/* In the owner, and in its children. */
static void forget(void)
{
    PyObject *session = collector.session;
    sf_own_fd_close(&collector.socket);
    collector.state = NONE;
    collector.session = NULL;
    collector.launcher = 0;
    Py_XDECREF(session); /* last: it may run Python code */
}

/* ---- what the collector writes ---- */

static const char *end_of_line(void)
{
    return memchr(collector.text, '\n', collector.bytes);
}

/* Reads what is there. Where there is no room, it drops what was read before: nobody waits for so long a line. */
static void read_what_is_there(void)
{
    if (collector.bytes == sizeof collector.text)
        collector.bytes = 0;
    ssize_t n = recv(sf_own_fd_get(&collector.socket), collector.text + collector.bytes,
                     sizeof collector.text - collector.bytes, MSG_DONTWAIT);
    if (n > 0)
        collector.bytes += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        collector.ended = true;
}

static int sleep_until_readable(void *socket, int64_t timeout_ns)
{
    struct pollfd polled = {.fd = *(int *)socket, .events = POLLIN};
    struct timespec timeout = sf_monotonic_timespec(timeout_ns);
    return ppoll(&polled, 1, &timeout, NULL) < 0 ? -errno : 0;
}

struct reading {
    int socket; /* its number, for the sleep, during which the state may change */
    PyObject *session;
};

static int read_line(void *what)
{
    struct reading *reading = what;
    if (!is_there(reading->session))
        return -ECANCELED; /* another thread or a signal handler has ended it, or this is a child that a handler forked
                            */
    read_what_is_there();
    return end_of_line() || collector.ended ? 0 : -EAGAIN;
}

/* Waits for a line and takes it, without its end. What ends without one is "". NULL with an exception. */
static PyObject *take_line(PyObject *session)
{
    struct reading reading = {collector.socket.fd, session};
    int error = sf_wait(&(struct sf_waiting){.try_now = read_line, .sleep = sleep_until_readable, .what = &reading},
                        true, SF_FOREVER);
    if (error == -ECANCELED)
        PyErr_SetString(PyExc_RuntimeError, "the trace was stopped by another call of trace.stop() meanwhile");
    else if (error && error != SF_RAISED)
        sf_error(error, "cannot wait for the collector snakefish-trace");
    if (error)
        return NULL;
    const char *end = end_of_line();
    if (!end)
        return PyUnicode_FromString("");
    size_t length = (size_t)(end - collector.text);
    PyObject *line = PyUnicode_DecodeUTF8(collector.text, (Py_ssize_t)length, "replace");
    collector.bytes -= length + 1;
    memmove(collector.text, end + 1, collector.bytes);
    return line;
}

/* ---- launching ---- */

/* Its standard output is `socket`; of this process's files it gets standard error at most. In a process group of its
 * own it does not get what a terminal sends to the program's. 0 or errno. */
static int spawn(pid_t *child, char *const argv[], int socket, bool has_stderr)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int error = posix_spawn_file_actions_init(&files);
    if (error)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error) {
        posix_spawn_file_actions_destroy(&files);
        return error;
    }
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    /* first the socket, whose number may be that of a closed standard stream */
    error = posix_spawn_file_actions_adddup2(&files, socket, STDOUT_FILENO);
    if (!error)
        error = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (!error && !has_stderr)
        error = posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (!error)
        error = posix_spawn(child, argv[0], &files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

/* Makes the socket and starts the launcher. Keeps the interpreter lock. 0 or -errno. */
static int launch(PyObject *session, char *const argv[], bool has_stderr)
{
    int ends[2];
    pid_t child = 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
        return -errno;
    int error = sf_own_fd_take_high(&collector.socket, ends[0]);
    if (!error)
        error = -spawn(&child, argv, ends[1], has_stderr);
    close(ends[1]);
    if (error) {
        sf_own_fd_close(&collector.socket);
        return error;
    }
    collector.state = LAUNCHED;
    Py_INCREF(session);
    collector.session = session;
    collector.owner = sf_log_forks();
    collector.launcher = child;
    collector.bytes = 0;
    collector.ended = false;
    return 0;
}

static int sleep_until_dead(void *child, int64_t timeout_ns)
{
    int error = sf_process_wait(*(pid_t *)child, timeout_ns);
    return error == -ESRCH ? 0 : error;
}

static int try_reap(void *child)
{
    int32_t status;
    if (collector.launcher != *(pid_t *)child || collector.owner != sf_log_forks())
        return 0;
    int got = sf_process_try_reap(collector.launcher, &status);
    if (got == 1)
        collector.launcher = 0;
    return got == 0 ? -EAGAIN : got == 1 ? 0 : got;
}

/* Waits until the launcher has ended, which it does once the collector is there. 0, or -1 with an exception. */
static int reap_launcher(void)
{
    pid_t child = collector.launcher;
    int error =
        sf_wait(&(struct sf_waiting){.try_now = try_reap, .sleep = sleep_until_dead, .what = &child}, true, SF_FOREVER);
    if (error && error != SF_RAISED)
        sf_error(error, "cannot wait for the collector snakefish-trace");
    return error ? -1 : 0;
}

/* The directory in the line "session DIRECTORY", or NULL with an exception that says what the collector says. */
static PyObject *directory_in(PyObject *line)
{
    const char *text = line ? PyUnicode_AsUTF8(line) : NULL;
    if (!text)
        return NULL;
    if (strncmp(text, "session ", 8) == 0)
        return PyUnicode_FromString(text + 8);
    const char *why = strchr(text, ' ');
    PyErr_SetString(PyExc_RuntimeError, why ? why + 1 : "the collector snakefish-trace ended without saying why");
    return NULL;
}

PyObject *sf_collector_launch(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *session, *command;
    int has_stderr;
    char *argv[16];
    if (!PyArg_ParseTuple(args, "OO!p:_trace_launch", &session, &PyList_Type, &command, &has_stderr))
        return NULL;
    Py_ssize_t count = PyList_Size(command);
    assert(count > 0 && count < 16);
    for (Py_ssize_t i = 0; i < count; i++)
        if (PyBytes_AsStringAndSize(PyList_GetItem(command, i), &argv[i], NULL)) /* ValueError for a NUL in it */
            return NULL;
    argv[count] = NULL;
    if (collector.state != NONE && collector.owner != sf_log_forks())
        forget(); /* the parent's */
    bool is_stopping = collector.state == STOPPING || collector.state == ABANDONED;
    if (sf_log_enabled() || collector.state != NONE) {
        PyErr_SetString(PyExc_RuntimeError, is_stopping ? "trace.stop() was interrupted: call it again first"
                                                        : "tracing is on already: call trace.stop() first");
        return NULL;
    }
    sf_log_detach(); /* from a session of the parent's that is over */
    int error = launch(session, argv, has_stderr);
    if (error) {
        char doing[512];
        snprintf(doing, sizeof doing, "cannot start the collector %.400s", argv[0]);
        return sf_error(error, doing);
    }
    PyObject *line = take_line(session);
    PyObject *directory = directory_in(line);
    Py_XDECREF(line);
    if (directory && reap_launcher())
        Py_CLEAR(directory);
    return directory;
}

static int write_byte(char byte)
{
    int socket = sf_own_fd_get(&collector.socket);
    return send(socket, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1 ? 0 : -errno;
}

PyObject *sf_collector_go(PyObject *Py_UNUSED(module), PyObject *session)
{
    if (!is_there(session) || collector.state != LAUNCHED) {
        PyErr_SetString(PyExc_RuntimeError, "the trace was stopped by another call of trace.stop() meanwhile");
        return NULL;
    }
    int error = write_byte(SF_COLLECTOR_GO);
    if (error)
        return sf_error(error, "the collector snakefish-trace has died");
    collector.state = RUNNING;
    Py_RETURN_NONE;
}

PyObject *sf_collector_session(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(unused))
{
    PyObject *session = is_there(NULL) ? collector.session : Py_None;
    Py_INCREF(session);
    return session;
}

/* ---- ending ---- */

/* The launcher is killed, because it may wait for a collector that does not come. Whoever forgets a session does this
 * first: another thread's call may be about to. */
static void end_launcher(void)
{
    pid_t child = collector.launcher;
    if (child)
        sf_process_signal(child, SIGKILL);
    while (child && try_reap(&child) == -EAGAIN) {
        Py_BEGIN_ALLOW_THREADS;
        sf_process_wait(child, SF_NS_PER_S / 10);
        Py_END_ALLOW_THREADS;
    }
}

static void end_launcher_and_forget(PyObject *session)
{
    if (is_there(session))
        end_launcher();
    if (is_there(session))
        forget();
}

PyObject *sf_collector_finish(PyObject *module, PyObject *session)
{
    if (!is_there(session))
        return PyUnicode_FromString("done"); /* by another call meanwhile */
    /* its start was interrupted, and then what takes it back; or another thread is in its start */
    if (collector.state == LAUNCHED || collector.state == ABANDONED) {
        Py_XDECREF(sf_collector_abandon(module, session));
        return PyUnicode_FromString("done");
    }
    if (collector.state == RUNNING) {
        collector.state = STOPPING;
        sf_usage_write();
        sf_log_request_stop();
        sf_log_detach();
    }
    bool can_read = sf_own_fd_is_ours(&collector.socket);
    PyObject *line = can_read ? take_line(session) : Py_NewRef(Py_None);
    if (line)
        end_launcher_and_forget(session);
    return line;
}

PyObject *sf_collector_abandon(PyObject *Py_UNUSED(module), PyObject *session)
{
    if (!is_there(session)) { /* another call has ended it; this one may have joined its directory after that */
        if (collector.state == NONE && collector.owner == sf_log_forks())
            sf_log_detach();
        Py_RETURN_NONE;
    }
    if (collector.state == LAUNCHED)
        write_byte(SF_COLLECTOR_CANCEL);
    else if (collector.state == RUNNING)
        sf_log_request_stop();
    collector.state = ABANDONED;
    sf_log_detach();
    end_launcher();
    int64_t end_ns = sf_monotonic_ns() + abandon_ns;
    while (is_there(session) && sf_own_fd_is_ours(&collector.socket) && sf_monotonic_ns() < end_ns) {
        read_what_is_there();
        if (collector.ended)
            break;
        int socket = collector.socket.fd;
        Py_BEGIN_ALLOW_THREADS;
        sleep_until_readable(&socket, SF_NS_PER_S / 10);
        Py_END_ALLOW_THREADS;
    }
    end_launcher_and_forget(session);
    Py_RETURN_NONE;
}
