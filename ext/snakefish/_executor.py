"""Executor: workers that stay, as a concurrent.futures.Executor. The other names are internal.

    submit: item (_executor_functions.py) --+--> sent: crew.send() ------> workers --> crew.wait() --> future
                                            +--> waiting --> the manager --^              the manager --^

A task is sent at once if no other waits and few are under way; else it waits, where it can still be cancelled. The
manager is a Python thread, which sends what waits, sets futures, and replaces workers. It refers to the _State and not
to the Executor. One thread takes events (crew.wait) and takes tasks out of `waiting`: the manager. So nothing here needs
a lock, and submit() may be called anywhere: in a callback, in a signal handler, in what pickling calls. What such code
interrupts is a step of which each is one operation of a dict, a deque or the crew.

The end. The manager sets `closed` and then looks whether anything is left to do; submit() adds its task and then looks
whether it is `closed`. So one of them sees the other.
"""

import atexit
import collections
import operator
import os
import reprlib
import signal
import sys
import threading
import time
import weakref
from concurrent.futures import BrokenExecutor, Executor as _Executor, Future, InvalidStateError

from snakefish._executor_functions import NO_NUMBER, Functions, Refused
from snakefish._snakefish import ChildDied, _Crew, cpu_count

_RESULT, _ERROR, _ENDED, _BROKEN = range(4)  # enum sf_crew_event
_MOST_AHEAD = 64  # tasks under way where each takes less than _SHORT_S
_SHORT_S = 0.001
_ADAPT_S = 0.01  # how often their number is adapted
_MOST_DEATHS = 20  # of workers in a row, without any outcome
_RETRY_S = 0.1  # after a fork that failed
_NO_TASKS = 0  # of tasks_per_worker: no limit

_states = weakref.WeakSet()
_exiting = None  # the process that is at its end


class WorkerDied(ChildDied, BrokenExecutor):
    """A worker of an Executor died while it ran this task. The others go on, and a new worker takes its place.

    pid: its process id. exit_status: n after sys.exit(n) or os._exit(n), -N after signal N, None if unknown. signal: N,
    or None. task: the call, as text. name: the worker's name."""

    signal = task = None


WorkerDied.__module__ = "snakefish"


class _Work:
    """A task: its call, and the future that was handed out."""

    __slots__ = ("future", "fn", "args", "kwargs", "item", "number", "begun", "retried")

    def __init__(self, fn, args, kwargs):
        self.future = Future()
        self.fn, self.args, self.kwargs = fn, args, kwargs
        self.begun = self.retried = False

    def resolve(self, functions):
        self.item, self.number = functions.item(self.fn, self.args, self.kwargs)

    def may_begin(self):
        """Whether nobody has cancelled it; from then on nobody can."""
        self.begun = self.begun or self.future.set_running_or_notify_cancel()
        return self.begun

    def __str__(self):
        name = getattr(self.fn, "__qualname__", None) or type(self.fn).__qualname__
        try:
            arguments = [reprlib.repr(value) for value in self.args]
            arguments += [f"{key}={reprlib.repr(value)}" for key, value in self.kwargs.items()]
        except Exception:
            arguments = ["..."]
        return f"{name}({', '.join(arguments)})"


class _Probe:
    """See ext/py/workers/crew.h. numbers: of the tasks that were sent before it; once is_second, of those that may be lost."""

    __slots__ = ("numbers", "is_second")

    def __init__(self, numbers, is_second):
        self.numbers, self.is_second = numbers, is_second


def _settle(future, method, outcome):
    """Gives a future its outcome. What a callback raises may be anything; the manager has to go on."""
    try:
        getattr(future, method)(outcome)
    except InvalidStateError:
        pass  # the program has done so itself
    except BaseException:
        sys.excepthook(*sys.exc_info())


def _fail(work, exception):
    if work.may_begin():
        _settle(work.future, "set_exception", exception)


def _hear_and_ignore(_number, _frame):
    """Ctrl-C in a worker: the parent hears it too, and says what is to be done. Not SIG_IGN, which programs that the
    worker starts would inherit."""


class _Preparation:
    """What a worker does first."""

    def __init__(self, initializer, initargs):
        self.initializer, self.initargs = initializer, initargs

    def __call__(self):
        if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, signal.SIG_DFL, None):
            signal.signal(signal.SIGINT, _hear_and_ignore)
        if self.initializer is not None:
            self.initializer(*self.initargs)


class _State:
    """What an Executor and its manager share."""

    def __init__(self, max_workers, prepare, max_tasks_per_child, task_timeout, name):
        self.owner = os.getpid()
        self.functions = Functions()
        self.max_workers, self.task_timeout = max_workers, task_timeout
        self.crew = _Crew(self.functions.call, prepare, max_workers, max_tasks_per_child or _NO_TASKS, name)
        self.waiting = collections.deque()  # tasks; only the manager takes them out
        self.probes = collections.deque()  # to be sent before them
        self.managers = []  # threads; the first one is the manager
        self.shutdown = self.cancel = self.kill = self.closed = False
        self.broken = None  # an exception: what every task gets from now on
        self.executor = None  # a weak reference
        self.doomed = {}  # the pid of a worker that is killed for its task: that task
        self.deaths = 0
        self.ahead = self.least_ahead = max_workers + 1
        self.outcomes, self.adapted = 0, time.monotonic()
        self.retry_at = 0.0

    # ---- in any thread ----

    def refuse(self):
        """Raises if no more tasks can be taken."""
        if self.owner != os.getpid():
            raise RuntimeError(
                f"this Executor was made by process {self.owner}: only that process can use it. Make one here"
            )
        if self.broken is not None:
            raise BrokenExecutor(*self.broken.args) from self.broken.__cause__
        if self.shutdown or self.closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        if _exiting == self.owner:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    def start_worker(self):
        if self.crew.alive == 0:
            self.functions.inherit()
        return self.crew.start()

    def start_manager(self):
        thread = threading.Thread(target=_manage, args=(self,), name="snakefish-executor-manager", daemon=True)
        thread.start()

    def new_generation(self):
        """Workers that live now take nothing more; those that are forked from now on have all functions."""
        self.functions.inherit()
        self.crew.retire()

    def end(self, _reference=None):
        """Finishes what is there. May be called by the garbage collector, anywhere."""
        if self.owner == os.getpid():
            self.shutdown = True
            self.crew.nudge()

    # ---- in the manager ----

    def fill(self):
        """Sends what waits, as far as it goes, and forks what is missing."""
        while self.probes and self.send_probe(self.probes[0]):
            self.probes.popleft()
        while self.waiting and not self.probes and self.crew.under_way < self.ahead:
            work = self.waiting[0]
            if work.may_begin() and not self.send(work):
                break
            if self.waiting and self.waiting[0] is work:
                self.waiting.popleft()
        wanted = min(self.max_workers, self.crew.under_way + len(self.waiting))
        while self.crew.alive < wanted and self.replace():
            pass

    def send_probe(self, probe):
        if probe.numbers is None:
            probe.numbers = list(self.crew.sent())
        return bool(self.crew.send(probe, None))

    def send(self, work):
        """Whether it is out of `waiting`'s hands: sent, or failed."""
        if work.number >= self.functions.inherited:
            self.new_generation()
        try:
            sent = self.crew.send(work, work.item)
        except Exception as failure:
            sent = failure
        return self.is_sent(work, sent)

    def is_sent(self, work, sent):
        """What crew.send() said of it. A callable that cannot be pickled goes by a number instead."""
        if type(sent) is int:
            return sent != 0
        if work.number == NO_NUMBER:
            work.number = self.functions.number(work.fn)
            work.item = (work.number, work.args, work.kwargs or None)
            return False
        _settle(work.future, "set_exception", sent)
        return True

    def replace(self):
        """Forks a worker. Whether there may be one more; a fork that fails is tried again later."""
        if time.monotonic() < self.retry_at:
            return False
        try:
            return self.start_worker()
        except Exception as failure:
            self.retry_at = time.monotonic() + _RETRY_S
            self.count_death(failure)
            return False

    def handle(self, event):
        kind, work, *rest = event
        if kind == _ENDED:
            self.worker_ended(work, *rest)
            return
        if kind == _BROKEN:
            broken = BrokenExecutor("an initializer failed, so this Executor cannot be used any more")
            broken.__cause__ = rest[0]
            self.broken = broken
            return
        self.deaths = 0
        self.outcomes += 1
        if type(work) is _Probe:
            self.probe_came_back(work)
        elif kind == _RESULT:
            _settle(work.future, "set_result", rest[0])
        elif isinstance(rest[0], Refused):
            self.take_again(work, rest[0].args[0] == self.functions.generation)
        else:
            _settle(work.future, "set_exception", rest[0])

    def take_again(self, work, renew):
        """Of a task that was not begun."""
        work.resolve(self.functions)
        self.waiting.appendleft(work)
        if renew:
            self.new_generation()

    def worker_ended(self, work, pid, exit_status, by_itself, reason):
        doomed = self.doomed.pop(pid, None)
        if type(work) is _Probe or not (work or by_itself or doomed):
            self.probes.append(_Probe(None, False))
        elif work and work is doomed:
            message = f"{work} took longer than task_timeout={self.task_timeout} s, and its worker was ended"
            _settle(work.future, "set_exception", TimeoutError(message))
        elif work:
            _settle(work.future, "set_exception", _worker_died(work, pid, exit_status, reason))
        if not by_itself and not doomed:
            self.count_death(reason)

    def count_death(self, reason):
        self.deaths += 1
        if self.deaths >= _MOST_DEATHS and self.broken is None:
            self.broken = BrokenExecutor(f"{self.deaths} workers in a row ended without any outcome; the last: {reason}")

    def probe_came_back(self, probe):
        sent = self.crew.sent()
        if probe.is_second:
            for number in probe.numbers:
                lost = self.crew.drop(number)
                if type(lost) is _Probe:
                    self.probes.append(_Probe(None, False))
                elif lost is not None:
                    self.take_again(lost, False)
            return
        claimed = {number for _, number, _, _ in self.crew.claims()}
        suspects = [number for number in probe.numbers if number in sent and number not in claimed]
        if suspects:
            self.probes.append(_Probe(suspects, True))

    def kill_late(self):
        """Ends workers whose task takes too long. How many seconds there are until the next look, None: for ever."""
        if self.task_timeout is None:
            return None
        now = time.monotonic()
        wait = self.task_timeout
        for pid, number, work, since in self.crew.claims():
            left = since + self.task_timeout - now
            if left > 0:
                wait = min(wait, left)
            elif type(work) is _Work and self.crew.doom(pid, number):
                self.doomed[pid] = work
        return wait

    def adapt(self):
        """Sends more ahead where tasks are short, so that workers do not wait for the manager."""
        now = time.monotonic()
        if now - self.adapted < _ADAPT_S or not self.outcomes:
            return
        is_short = (now - self.adapted) * self.max_workers < _SHORT_S * self.outcomes
        self.ahead = min(2 * self.ahead, max(_MOST_AHEAD, self.least_ahead)) if is_short else max(self.ahead // 2, self.least_ahead)
        self.outcomes, self.adapted = 0, now

    def cancel_waiting(self):
        while self.waiting:
            future = self.waiting.popleft().future
            if future.cancel():
                future.set_running_or_notify_cancel()

    def give_up(self, exception):
        """Every task fails, and all workers are killed."""
        self.shutdown = True
        sent = self.crew.sent()
        self.crew.close()
        for work in (*sent.values(), *self.waiting):
            if type(work) is _Work:
                _fail(work, exception)
        self.waiting.clear()

    def is_finished(self):
        """Whether nothing is left to do; if so it is closed."""
        if self.waiting or self.crew.under_way:
            return False
        self.closed = True
        if self.waiting or self.crew.under_way:
            self.closed = False
        return self.closed

    def trim_functions(self):
        if self.functions.is_full():
            used = {work.number for work in (*self.waiting, *self.crew.sent().values()) if type(work) is _Work}
            self.functions.trim(used)


def _worker_died(work, pid, exit_status, reason):
    if isinstance(reason, ChildDied):
        died = WorkerDied(f"{reason} at task {work}")
        died.__cause__ = reason.__cause__
        died.name = reason.name
    else:
        died = WorkerDied(f"a worker (pid {pid}) ended by {type(reason).__name__} at task {work}")
        died.__cause__ = reason
    died.pid, died.exit_status, died.task = pid, exit_status, str(work)
    died.signal = -exit_status if exit_status is not None and exit_status < 0 else None
    return died


def _manage(state):
    """The manager."""
    this = threading.current_thread()
    state.managers.append(this)
    if state.managers[0] is not this:
        return
    crew = state.crew
    while not (state.kill or state.broken):
        if state.cancel:
            state.cancel = False
            state.cancel_waiting()
        state.fill()
        state.trim_functions()
        if state.shutdown and state.is_finished():
            break
        _take_events(state, _shortest(state.kill_late(), _RETRY_S if time.monotonic() < state.retry_at else None))
        state.adapt()
    if state.kill or state.broken:
        state.closed = True
        state.give_up(state.broken or BrokenExecutor("the workers were ended by Ctrl-C (KeyboardInterrupt)"))
        return
    crew.stop()
    while crew.alive and not state.kill:
        _take_events(state, None)
    crew.close()


def _shortest(*seconds):
    return min((value for value in seconds if value is not None), default=None)


def _take_events(state, timeout):
    """No variable here outlives the events, which refer to results."""
    try:
        events = state.crew.wait(timeout)
    except MemoryError:
        time.sleep(_RETRY_S)
        return
    events.reverse()
    while events:
        state.handle(events.pop())


def _is_interrupted():
    """Whether the program ends by Ctrl-C."""
    raised = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return isinstance(raised, KeyboardInterrupt) and not hasattr(sys, "ps1")


def _at_exit():
    """Finishes what was queued, before the program ends."""
    global _exiting
    _exiting = os.getpid()
    states = [state for state in _states if state.owner == _exiting]
    for state in states:
        state.kill = state.kill or _is_interrupted()
        state.end()
    for state in states:
        _join(state, None)


def _join(state, timeout):
    for thread in state.managers[:1]:
        if thread is not threading.current_thread():
            thread.join(timeout)


try:
    threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
except (AttributeError, RuntimeError):  # there is no such function, or the program is at its end
    atexit.register(_at_exit)


class Executor(_Executor):
    """Workers that stay: forked processes that run what is submitted, one task each at a time.

    max_workers: processes, 0: cpu_count(). They are forked by submit(), as tasks need them. A worker sees everything as it
    is at its fork: modules, globals, what functions refer to. Functions are not pickled, so lambdas, closures and functions
    of __main__ can be submitted. For one that was made after the fork the workers are forked anew, once, and for all that
    are new; old ones first finish what they run. refresh() forks them anew on purpose, as after a change of globals.
    Arguments and results are pickled.

    initializer: is called with initargs in each worker, first. If it raises, all tasks fail with BrokenExecutor.
    max_tasks_per_child: a worker is replaced after so many tasks. task_timeout: seconds that a task may take; then it
    fails with TimeoutError, and its worker is killed and replaced. name: for the workers' names.

    If a worker dies, the task that it ran fails with WorkerDied, and the other tasks go on.

    The end of the with block, shutdown(), and the end of the program finish what was submitted. Ctrl-C ends the workers
    at once. Only the process that made an Executor can use it.
    """

    def __init__(
        self, max_workers=0, *, initializer=None, initargs=(), max_tasks_per_child=None, task_timeout=None, name=None
    ):
        workers = 0 if max_workers is None else operator.index(max_workers)
        if workers < 0 or isinstance(max_workers, bool):
            raise ValueError(f"max_workers must be at least 0 (one for each CPU), not {max_workers!r}")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_tasks_per_child is not None and not isinstance(max_tasks_per_child, int):
            raise TypeError("max_tasks_per_child must be an integer")
        if max_tasks_per_child is not None and max_tasks_per_child < 1:
            raise ValueError("max_tasks_per_child must be >= 1")
        if task_timeout is not None and not task_timeout > 0:
            raise ValueError(f"task_timeout must be more than 0 seconds, or None, not {task_timeout!r}")
        if name is not None and not isinstance(name, str):
            raise TypeError(f"name must be a str or None, not {type(name).__name__}")
        prepare = _Preparation(initializer, tuple(initargs))
        self._state = _State(workers or cpu_count(), prepare, max_tasks_per_child, task_timeout, name or "executor")
        self._state.executor = weakref.ref(self, self._state.end)
        _states.add(self._state)

    def submit(self, fn, /, *args, **kwargs):
        """Has fn(*args, **kwargs) computed by a worker. Returns its concurrent.futures.Future. Does not block, but for a
        fork while there are fewer than max_workers."""
        state = self._state
        state.refuse()
        if not callable(fn):
            raise TypeError(f"fn must be callable, not {type(fn).__name__}")
        crew, waiting = state.crew, state.waiting
        work = _Work(fn, args, kwargs)
        work.resolve(state.functions)
        if crew.alive < state.max_workers and crew.alive <= crew.under_way + len(waiting):
            try:
                state.start_worker()
            except RuntimeError:
                if not crew.alive:
                    raise
        if waiting or work.number >= state.functions.inherited or crew.under_way >= state.ahead:
            waiting.append(work)
        elif work.may_begin() and not state.is_sent(work, crew.send(work, work.item)):
            waiting.append(work)
        if waiting and crew.under_way < state.ahead:
            crew.nudge()
        if not state.managers:
            state.start_manager()
        if state.closed:
            self._withdraw(work)
        return work.future

    def _withdraw(self, work):
        """The manager has ended meanwhile, perhaps without having seen this task."""
        try:
            self._state.waiting.remove(work)
        except ValueError:
            return
        self._state.refuse()

    def refresh(self):
        """Forks the workers anew for the tasks that are submitted from now on: they see everything as it is then. Does not
        block; workers that are busy finish what they run."""
        self._state.refuse()
        self._state.new_generation()

    def shutdown(self, wait=True, *, cancel_futures=False):
        """No more tasks are taken. wait: until all are finished, and the workers have ended. cancel_futures: cancels those
        that no worker has been given."""
        state = self._state
        if state.owner != os.getpid():
            return
        state.cancel = state.cancel or cancel_futures
        state.end()
        if wait:
            _join(state, None)

    def __exit__(self, kind, value, traceback):
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._state.kill = True
        self.shutdown()
        return False

    def __reduce__(self):
        raise TypeError("an Executor cannot be pickled: it belongs to the process that made it")


Executor.__module__ = "snakefish"
