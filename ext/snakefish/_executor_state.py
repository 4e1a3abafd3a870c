"""What an Executor, its maps and its manager share, and how tasks get in. Internal; for _executor.py.

    submit: item (_executor_functions.py) --+--> sent: crew.send() ------> workers --> crew.wait() --> future
                                            +--> waiting --> the manager --^              the manager --^

A task is sent at once if no other waits and few are under way; else it waits, where it can still be cancelled. The
manager (_executor_manager.py) is a Python thread, the only one that takes events and takes tasks out of `waiting`. (But who
waits for a result may take that one without the manager: ext/py/workers/direct.h.) So nothing here needs a lock, and
submit() may be called anywhere: in a callback, in a signal handler, in what pickling calls. Whatever interrupts it, each
step is one operation of a dict, a deque or the crew.

The end. A task whose submit() returns after shutdown() was called is run, or submit() raises. There are two ways in, and
the manager (_Manager.is_finished) closes both:

    waiting: the manager sets `closed`, then looks whether a task waits. Who adds one looks afterwards whether it is
        `closed`. So one of them sees the other. If both do, the future decides: the manager may begin with the task,
        or the one that added it cancels it, and raises.
    sent: the crew finds that no task is sent, and refuses all later ones, in one step (ext/py/workers/crew.h). Who is
        refused raises; a worker that was forked for that ends with the others, or is killed when the crew is closed.

Tasks that were sent go back to `waiting` by the manager only, so none is in between when it looks. `closed` may be
taken back, but only after shutdown(): so who saw it is right to raise. Where the Executor is broken or killed, the
manager fails what it finds in `waiting`, and who adds a task after that withdraws it, or fails it if it was begun.
"""

import collections
import os
import threading
import time
import weakref
from concurrent.futures import BrokenExecutor

from snakefish._executor_functions import Functions, goes_whole
from snakefish._sleepers import Event, start_thread
from snakefish._snakefish import _Crew

_NO_LIMIT = 0  # of a crew's tasks_per_worker
_LAST_S = 0.1  # what the manager's last instructions may take
_LOOK_S = 0.001  # how often it is looked whether other threads have forked

states: "weakref.WeakValueDictionary[int, State]" = weakref.WeakValueDictionary()  # by id
exiting: "list[int]" = []  # the process that is at its end


class State:
    """manage: what the manager thread calls with it. max_workers is a number here."""

    def __init__(self, manage, max_workers, prepare, max_tasks_per_child, task_timeout, name):
        self.owner = os.getpid()
        self.functions = Functions()
        self.max_workers, self.task_timeout = max_workers, task_timeout
        self.crew = _Crew(self.functions.call, prepare, max_workers, max_tasks_per_child or _NO_LIMIT, name)
        self.waiting = collections.deque()  # tasks; only the manager takes them out
        self.ahead = max_workers + 1  # how many tasks may be under way
        self.managers = []  # threads; the first one is the manager
        self.ended = Event()  # the manager has
        self.first = Event()  # a task was sent, or waits, or none will: the manager may look
        self.shutdown = self.cancelled = self.killed = self.closed = False
        self.broken = None  # an exception: what every task gets from now on
        self.reason = None  # an exception: the manager ends, and what is left fails with it
        self.reference = None  # to the Executor, a weak one
        self._manage = manage
        states[id(self)] = self

    def refuse_copy(self):
        if self.owner != os.getpid():
            raise RuntimeError(
                f"this Executor was made by process {self.owner}: only that process can use it. Make one here"
            )

    def refuse_manager(self):
        """Before a wait for results. The manager calls the futures' callbacks."""
        if self.managers and threading.current_thread() is self.managers[0]:
            raise RuntimeError(
                "this callback of a future runs in the thread that takes the workers' results, which would wait for "
                "itself: wait for results of this Executor in another thread"
            )

    def refuse(self):
        """Raises if no more tasks can be taken."""
        self.refuse_copy()
        if self.broken is not None:
            raise BrokenExecutor(*self.broken.args) from self.broken.__cause__
        if self.owner in exiting:
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        if self.shutdown or self.closed:
            raise RuntimeError("cannot schedule new futures after shutdown")

    def submit(self, task):
        """Sends a task that nobody else has seen, or adds it."""
        try:
            self._send_or_add(task)
        except BaseException:
            self._begin_for_workers()
            raise
        finally:
            self.go()

    def _send_or_add(self, task):
        self.need_workers(1)
        self.begin()
        task.id = self.crew.number(len(self.waiting))
        if self.waiting or task.number >= self.functions.inherited or self.crew.under_way >= self.ahead:
            self.add([task])
        elif task.may_begin() and not self.is_sent(task, self.try_to_send(task)):
            self.add([task])
        else:
            task.was_sent(self.crew, self.waiting)
            if self.crew.alive < min(self.max_workers, self.crew.under_way):
                self.crew.nudge()  # a worker that was counted has ended, and was not missed before the task was sent

    def try_to_send(self, task):
        """What crew.send() says."""
        try:
            return self.crew.send(task.id, task, task.item)
        except RuntimeError:
            self.refuse()  # it may have ended meanwhile
            raise

    def add(self, tasks):
        try:
            self.need_workers(len(tasks))
            self.begin()
            self.queue(tasks)
        except BaseException:
            self._begin_for_workers()
            raise
        finally:
            self.go()
        if self.crew.under_way < self.ahead:
            self.crew.nudge()
        if self.closed and any([self._is_withdrawn(task) for task in tasks]):
            self.refuse()
        if self.reason is not None:
            self.fail_waiting()  # one that was begun, and could not be sent

    def queue(self, tasks):
        for task in tasks:
            if task.id is None:
                task.id = self.crew.number(len(self.waiting))
            self.waiting.append(task)

    def fail_waiting(self):
        """The manager has ended, for a reason. It calls this too; so no task is left over, whoever sees it."""
        while self.waiting:
            try:
                task = self.waiting.popleft()
            except IndexError:  # another thread took it
                break
            task.fail(self.reason)

    def _is_withdrawn(self, task):
        """Whether nobody will run it. If not, the manager has begun with it."""
        if not task.future.cancel():
            return False
        try:
            self.waiting.remove(task)
        except ValueError:
            pass
        return True

    def need_workers(self, more):
        """Forks what `more` tasks need. Raises if that fails and there is no worker at all."""
        wanted = min(self.max_workers, self.crew.under_way + len(self.waiting) + more)
        while self.crew.alive < wanted:
            try:
                if not self.start_worker():
                    return
            except (RuntimeError, MemoryError):
                if not self.crew.alive:
                    self.refuse()  # it may have ended meanwhile
                    raise
                return

    def start_worker(self):
        """Whether there was a place for one more."""
        if self.crew.alive == 0:
            self.functions.inherit()
        return self.crew.start()

    def begin(self):
        """Starts the manager, once. No task waits or is sent before: where no thread can be started, none is left over."""
        if not self.managers:
            start_thread(self._manage, self, "snakefish-executor-manager")

    def go(self):
        if not self.first.is_set():
            self.first.set()

    def _begin_for_workers(self):
        """A signal handler has raised: workers that are there already need a manager, which ends them some day."""
        if self.crew.alive:
            self.begin()

    def is_sent(self, task, sent):
        """Whether the task has not to wait any more. sent: what crew.send() said of it. A callable whose parts cannot be
        pickled goes by a number as a whole instead."""
        if type(sent) is bool:
            return sent
        if not task.is_whole and not goes_whole(task.fn):
            task.is_whole = True
            task.resolve(self.functions)
            self.crew.nudge()
            return False
        task.cannot_be_packed(sent)
        return True

    def new_generation(self):
        """Workers that live now take nothing more; those that are forked from now on have all functions."""
        self.functions.inherit()
        self.crew.retire()

    def end(self, _reference=None):
        """Finishes what is there. May be called by the garbage collector, anywhere."""
        if self.owner == os.getpid():
            self.shutdown = True
            self.crew.attend()

    def end_workers(self):
        """Ends those that no manager ends, because the submit() that has forked them raised."""
        if self.crew.alive and not self.managers:
            try:
                self.begin()
            except RuntimeError:  # no thread can be started
                self.crew.close()

    def join(self):
        """Waits until all have ended: the manager, and workers that other threads are forking, which no manager may know.
        The thread that calls may be forking one itself: this is a signal handler then."""
        while not self.managers:
            if self.crew.starting:
                time.sleep(_LOOK_S)
            elif self.crew.alive:
                self.end_workers()
                time.sleep(0)  # the manager may not have begun
            elif self.crew.finish() and not (self.crew.starting or self.crew.alive):
                return  # what others submit from now on is refused
        if self.managers[0] is not threading.current_thread():
            self.ended.wait()
            self.managers[0].join(_LAST_S)  # not for ever: a signal handler may have interrupted this same join()
        while self.crew.starting:
            time.sleep(_LOOK_S)
