"""The manager of an Executor: a Python thread that sends what waits, takes what comes, gives futures their outcomes, and
replaces workers. Internal; for _executor.py. _executor_state.py says who does what."""

import atexit
import collections
import os
import sys
import threading
import time
from concurrent.futures import BrokenExecutor

from snakefish._executor_functions import UNOPENED, Refused
from snakefish._executor_state import exiting, states
from snakefish._executor_tasks import Probe, Task, worker_died

_RESULT, _ERROR, _ENDED, _BROKEN = range(4)  # enum sf_crew_event
_MOST_AHEAD = 64  # tasks under way where each takes less than _SHORT_S
_SHORT_S = 0.001
_ADAPT_S = 0.01  # how often their number is adapted
_MOST_DEATHS = 20  # of workers in a row, without any outcome
_RETRY_S = 0.1  # after a fork that failed
_FIRST_S = 1  # how long it waits for the first task, at most: a signal handler may have raised before that


def manage(state):
    """What the thread does."""
    this = threading.current_thread()
    state.managers.append(this)
    if state.managers[0] is not this:
        return
    _name_thread(b"sf-executor")  # so that forks by this thread warn of no others: the program cannot know of them
    reason = None
    try:
        state.first.wait(_FIRST_S)  # else it might end before the submit() that has begun it has sent its task
        manager = _Manager(state)
        if manager.work():
            manager.dismiss()
        reason = state.broken or BrokenExecutor("the workers were ended by Ctrl-C (KeyboardInterrupt)")
    except BaseException as failure:
        reason = BrokenExecutor(f"the manager thread failed: {failure!r}")
        reason.__cause__ = failure
        raise
    finally:
        try:
            give_up(state, reason)
        finally:
            state.ended.set()


def give_up(state, reason):
    """Every task that is left fails, and workers that are left are killed."""
    state.shutdown = state.closed = True
    state.reason = reason
    for task in state.crew.close():
        if isinstance(task, Task):
            task.fail(reason)
    state.fail_waiting()


def _name_thread(name):
    try:
        with open(f"/proc/self/task/{threading.get_native_id()}/comm", "wb", 0) as comm:
            comm.write(name)
    except OSError:
        pass


class _Manager:
    def __init__(self, state):
        self.state, self.crew = state, state.crew
        self.waiting, self.functions = state.waiting, state.functions
        self.probes = collections.deque()  # to be sent before what waits
        self.doomed = {}  # the pid of a worker that is killed for its task: that task
        self.deaths = 0  # in a row
        self.taken = 0  # results without this thread, before the last death
        self.least_ahead = state.ahead
        self.outcomes, self.adapted_at = 0, time.monotonic()
        self.retry_at = 0.0

    # ---- the loop ----

    def work(self):
        """Until all is done: True; or until the Executor is broken or killed."""
        state = self.state
        while not (state.killed or state.broken):
            if state.cancelled:
                self.cancel_waiting()
            self.fill()
            if self.functions.is_full():
                tasks = (*self.waiting, *self.crew.sent().values())
                self.functions.trim({task.number for task in tasks if isinstance(task, Task)})
            if state.shutdown and self.is_finished():
                return True
            self.take_events(self.kill_late())
            self.adapt()
        return False

    def is_finished(self):
        """Whether nothing is left to do; if so it is closed, and workers end by themselves. See _executor_state.py."""
        state = self.state
        if self.waiting or self.crew.under_way:
            return False
        state.closed = True
        state.closed = not self.waiting and self.crew.finish()
        return state.closed

    def dismiss(self):
        """Waits until the workers have ended by themselves."""
        while self.crew.alive and not self.state.killed:
            self.take_events(None)

    def cancel_waiting(self):
        for task in self.waiting.copy():
            if task.cancel():  # else it was sent before, and has come back
                self.remove(task)

    def take_events(self, timeout):
        """No variable here outlives the events, which refer to results."""
        if time.monotonic() < self.retry_at:
            timeout = _RETRY_S if timeout is None else min(timeout, _RETRY_S)
        try:
            events = self.crew.wait(timeout)
        except MemoryError:
            time.sleep(_RETRY_S)
            return
        events.reverse()
        while events:
            self.handle_one(*events.pop())

    # ---- sending ----

    def fill(self):
        """Sends what waits, as far as it goes, and forks what is missing."""
        while self.probes and self.send_probe(self.probes[0]):
            self.probes.popleft()
        while not self.probes and self.crew.under_way < self.state.ahead and (task := self.first()) is not None:
            if task.may_begin() and not self.send(task):
                break
            self.remove(task)
        wanted = min(self.state.max_workers, self.crew.under_way + len(self.waiting))
        while self.crew.alive < wanted and self.replace():
            pass

    def first(self):
        """What waits longest, None if nothing does. It stays there until it is sent: who adds a task sees that."""
        try:
            return self.waiting[0]
        except IndexError:
            return None

    def remove(self, task):
        try:
            self.waiting.remove(task)
        except ValueError:
            pass  # State.add() has withdrawn it

    def send_probe(self, probe):
        if probe.numbers is None:
            probe.numbers = list(self.crew.sent())
        return self.crew.send(self.crew.number(-1), probe, None)

    def send(self, task):
        """Whether it has not to wait any more."""
        if task.number >= self.functions.inherited:
            self.state.new_generation()
        try:
            sent = self.crew.send(task.id, task, task.item)
        except Exception as failure:
            sent = failure
        return self.state.is_sent(task, sent)

    def replace(self):
        """Forks a worker. Whether there may be one more; a fork that fails is tried again later."""
        if time.monotonic() < self.retry_at:
            return False
        try:
            return self.state.start_worker()
        except Exception as failure:
            self.retry_at = time.monotonic() + _RETRY_S
            if not self.crew.alive:
                self.count_death(failure)
            return False

    def adapt(self):
        """Sends more ahead where tasks are short, so that workers do not wait for this thread."""
        took = time.monotonic() - self.adapted_at
        if took < _ADAPT_S or not self.outcomes:
            return
        if took * self.state.max_workers < _SHORT_S * self.outcomes:
            self.state.ahead = max(min(2 * self.state.ahead, _MOST_AHEAD), self.least_ahead)
        else:
            self.state.ahead = max(self.state.ahead // 2, self.least_ahead)
        self.outcomes, self.adapted_at = 0, time.monotonic()

    # ---- what comes ----

    def handle_one(self, kind, task, *rest):
        """Whatever fails, for want of memory or in code of the program: the task has an outcome, and the others too."""
        try:
            self.handle(kind, task, *rest)
        except BaseException as failure:
            if isinstance(task, Task):
                task.fail(failure)
            else:
                self.state.broken = BrokenExecutor(f"the manager thread failed: {failure!r}")
                self.state.broken.__cause__ = failure

    def handle(self, kind, task, *rest):
        """An event: see enum sf_crew_event."""
        if kind == _ENDED:
            self.worker_ended(task, *rest)
            return
        if kind == _BROKEN:
            broken = BrokenExecutor("an initializer failed, so this Executor cannot be used any more")
            broken.__cause__ = rest[0]
            self.state.broken = broken
            return
        self.deaths = 0
        self.outcomes += 1
        if type(task) is Probe:
            self.probe_came_back(task)
        elif kind == _RESULT:
            task.succeed(*rest)
        else:
            self.task_failed(task, *rest)

    def task_failed(self, task, exception):
        is_unopened = vars(exception).pop(UNOPENED, False)
        if isinstance(exception, Refused):
            self.take_again(task, exception.args[0] == self.functions.generation)
        elif is_unopened and not task.retried and isinstance(exception, (AttributeError, ImportError)):
            task.retried = True  # a class in it may have been made after the fork
            self.take_again(task, True)
        else:
            task.fail(exception)

    def take_again(self, task, renew):
        """Of a task that was not begun. renew: a newer worker is needed. What is known of its old number is about the old
        sending: a worker that still claims it, or a probe that finds it lost once more."""
        task.id = self.crew.number(len(self.waiting))
        try:
            task.resolve(self.functions)
        except Exception as failure:
            task.fail(failure)
            return
        self.waiting.appendleft(task)
        if renew:
            self.state.new_generation()

    def worker_ended(self, task, pid, exit_status, by_itself, reason):
        doomed = self.doomed.pop(pid, None)
        if type(task) is Probe or not (task or by_itself or doomed):
            self.probes.append(Probe())  # it may have had a task that nobody knows of
        elif task and task is doomed:
            seconds = self.state.task_timeout
            task.fail(TimeoutError(f"{task} took longer than task_timeout={seconds} s, and its worker was ended"))
        elif task:
            task.fail(worker_died(task, pid, exit_status, reason))
        if isinstance(task, Task):
            self.deaths = 0  # that was its outcome
        elif not by_itself and not doomed:
            self.count_death(reason)

    def count_death(self, reason):
        if self.crew.taken != self.taken:
            self.taken, self.deaths = self.crew.taken, 0
        self.deaths += 1
        if self.deaths >= _MOST_DEATHS and self.state.broken is None:
            message = f"{self.deaths} workers in a row could not be forked, or ended without any outcome; the last: {reason}"
            self.state.broken = BrokenExecutor(message)

    def probe_came_back(self, probe):
        """See ext/py/workers/crew.h."""
        if probe.is_second:
            for number in probe.numbers:
                lost = self.crew.drop(number)
                if type(lost) is Probe:
                    self.probes.append(Probe())
                elif lost is not None:
                    self.take_again(lost, False)
            return
        claimed = {number for _, number, _, _ in self.crew.claims()}
        sent = self.crew.sent()
        suspects = [number for number in probe.numbers if number in sent and number not in claimed]
        if suspects:
            self.probes.append(Probe(suspects, True))

    def kill_late(self):
        """Ends workers whose task takes too long. How many seconds there are until the next look, None: for ever."""
        limit = self.state.task_timeout
        if limit is None:
            return None
        now = time.monotonic()
        wait = limit
        for pid, number, task, since in self.crew.claims():
            left = since + limit - now
            if left > 0:
                wait = min(wait, left)
            elif isinstance(task, Task) and self.crew.doom(pid, number):
                self.doomed[pid] = task
        return wait


# ---- the end of the program ----


def _is_interrupted():
    """Whether the program ends by Ctrl-C."""
    raised = getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
    return isinstance(raised, KeyboardInterrupt) and not hasattr(sys, "ps1")


def _at_exit():
    """Finishes what was queued, before the program ends."""
    exiting[:] = [os.getpid()]
    found = [reference() for reference in states.valuerefs()]  # a list at once: other threads may make executors
    own = [state for state in found if state is not None and state.owner == os.getpid()]
    for state in own:
        state.killed = state.killed or _is_interrupted()
        state.end()
    for state in own:
        state.join()


try:
    threading._register_atexit(_at_exit)  # type: ignore[attr-defined]
except (AttributeError, RuntimeError):  # there is no such function, or the program is at its end
    atexit.register(_at_exit)
