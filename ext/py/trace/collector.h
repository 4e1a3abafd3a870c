/* The collector that this process has started, from its start to its end.
 *
 *     none -> launched -> running -> stopping --> none
 *                 |          |           |         ^
 *                 +----------+-----------+--> abandoned
 *
 * launch() starts it: it has made its session, and waits for a word. go() lets it collect. finish() asks it to finish
 * and waits for that. abandon() takes back what launch() and go() have done. In each state abandon() and finish() lead
 * to none, also when several threads call them at once.
 *
 * Exceptions of signal handlers come between any two bytecodes of Python. So the state is here, and each step is noted
 * in the call that makes it. Whoever is interrupted between two calls finds in it what there is to end.
 *
 * The process and its collector have the two ends of one socket. The collector writes lines; the end of the file says
 * that it is gone. So no other process may hold its end: the interpreter lock is held from the making of the socket
 * until only the collector has that end, and no Python thread can fork in between. The process writes one byte.
 *
 * The collector is the process's that started it: in a child made by fork there is none. Everything here needs the
 * interpreter lock. launch and finish block and run signal handlers meanwhile; abandon blocks, and runs none. */
#ifndef SF_PY_TRACE_COLLECTOR_H
#define SF_PY_TRACE_COLLECTOR_H

#include "py/base/compat.h"

/* _trace_launch(session, command, has_stderr): session is any object: it stands for the session in the calls below.
 * command: list of bytes. has_stderr: whether the collector gets this process's. Leaves a session that is over. Returns
 * the new one's directory. RuntimeError when tracing is on, or with what the collector says. Call abandon after any
 * exception. */
PyObject *sf_collector_launch(PyObject *module, PyObject *args);

/* _trace_go(session) */
PyObject *sf_collector_go(PyObject *module, PyObject *session);

/* _trace_session(): what stands for the session whose collector this process has started; None: there is none. */
PyObject *sf_collector_session(PyObject *module, PyObject *unused);

/* _trace_finish(session): leaves the session. Returns the collector's last line, "" when it has died, None when the
 * program has closed the socket, so that its end cannot be waited for. When a signal handler raises, call it again. */
PyObject *sf_collector_finish(PyObject *module, PyObject *session);

/* _trace_abandon(session): leaves the session and ends its collector, for which it waits. Does nothing when `session`
 * is not the one that there is. A current exception stays. */
PyObject *sf_collector_abandon(PyObject *module, PyObject *session);

#endif
