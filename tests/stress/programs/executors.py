"""An Executor whose workers are killed, are stopped or end by themselves while they run tasks of many kinds.

What must hold: every future ends. A task that ran in a killed worker fails with WorkerDied, which names that worker and the
signal, and no other task fails: so at most one for each dead worker. All others have their right outcome, and ran once."""
import concurrent.futures
import functools
import gc
import math
import mmap
import os
import resource
import signal
import threading
import time
import warnings

import snakefish
from trial import STOPPED, Skipped, check, children, is_running, kill_or_stop, program

try:
    import numpy
except ImportError:
    numpy = None

MOST = 96    # tasks
KILLS = 8    # at most
LOST = object()  # what is right for a task whose worker ends by itself
ANY_ERROR = object()


def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


class Book:
    """What tasks and the killer write into shared memory."""

    of_this_trial = None  # workers inherit it

    def __init__(self):
        Book.of_this_trial = self
        self.pids = memoryview(mmap.mmap(-1, 4 * MOST)).cast("i")    # who ran it
        self.began = memoryview(mmap.mmap(-1, 8 * MOST)).cast("d")   # when
        self.runs, self.ended = mmap.mmap(-1, MOST), mmap.mmap(-1, MOST)
        self.kills = memoryview(mmap.mmap(-1, 8 * KILLS)).cast("i")  # pid, signal; before the signal is sent

    def run(self, number, body):
        self.pids[number] = os.getpid()
        self.began[number] = time.monotonic()
        self.runs[number] += 1
        value = body()
        self.ended[number] = 1
        return value

    def signals(self, pid):
        return {-self.kills[2 * n + 1] for n in range(KILLS) if self.kills[2 * n] == pid}


class Point:
    def __init__(self, x):
        self.x = x

    def moved(self, number, by):
        return Book.of_this_trial.run(number, lambda: self.x + by)


# ---- kinds of tasks: each returns (function, arguments, right), where right is a value, an exception, LOST or ANY_ERROR ----


def raising(error):
    raise error


def below(number):
    with snakefish.Thread(lambda: number + 1) as task:
        task.start()
    return task.get_result()


def inherited(number, length):
    """A function of a module, which every worker has."""
    return Book.of_this_trial.run(number, lambda: bytes([number]) * length)


def quick(trial, book, number):
    return inherited, (number, 3), bytes([number]) * 3


def working(trial, book, number):
    seconds = trial.chance.choice((0, 0.001, 0.005))
    return (lambda: book.run(number, lambda: busy(seconds) or number)), (), number


def sleeping(trial, book, number):
    seconds = trial.chance.choice((0, 0.002, 0.01))
    return (lambda: book.run(number, lambda: time.sleep(seconds) or number)), (), number


def large_result(trial, book, number):
    return inherited, (number, 400000), bytes([number]) * 400000


def large_argument(trial, book, number):
    argument = bytes([number, 1]) * trial.chance.choice((1000, 300000))
    return (lambda words: book.run(number, lambda: (len(words), words[-2:]))), (argument,), (len(argument), argument[-2:])


def array(trial, book, number):
    if not numpy:
        return quick(trial, book, number)
    numbers = numpy.arange(trial.chance.choice((10, 50000))) + number
    return (lambda a: book.run(number, lambda: (a * 2).sum())), (numbers,), (numbers * 2).sum()


def failing(trial, book, number):
    return (lambda: book.run(number, lambda: raising(LookupError(number)))), (), LookupError(number)


def method(trial, book, number):
    return Point(number).moved, (number, 7), number + 7


def partial(trial, book, number):
    return functools.partial(inherited, length=2), (number,), bytes([number]) * 2


def builtin(trial, book, number):
    """Which writes nothing into the book."""
    return math.factorial, (number,), math.factorial(number)


def with_a_thread(trial, book, number):
    return (lambda: book.run(number, lambda: below(number))), (), number + 1


def unpicklable_argument(trial, book, number):
    return (lambda lock: book.run(number, lambda: lock)), (threading.Lock(),), ANY_ERROR


def unpicklable_result(trial, book, number):
    return (lambda: book.run(number, threading.Lock)), (), ANY_ERROR


def ending(trial, book, number):
    status, end = trial.chance.choice((
        (5, lambda: os._exit(5)), (-signal.SIGKILL, lambda: os.kill(os.getpid(), signal.SIGKILL)),
        (-signal.SIGSEGV, lambda: os.kill(os.getpid(), signal.SIGSEGV)), (-signal.SIGABRT, os.abort)))
    task = (lambda: book.run(number, end))
    task.__name__ = f"ends with {status}"
    return task, (), LOST


KINDS = (quick, working, sleeping, large_result, large_argument, array, failing, method, partial, builtin, with_a_thread,
         unpicklable_argument, unpicklable_result, ending)


# ---- the killer ----


def disturb_workers(trial, book, pause_s=None):
    """A process that kills, or stops for pause_s, children of this one at random moments, whatever they are doing."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    plan = [(trial.moment(), trial.chance.random(), trial.chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV)))
            for _ in range(trial.chance.randint(1, KILLS))]
    owner = os.getpid()
    trial.killer = os.fork()
    if trial.killer:
        return
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for slot, (delay, choice, number) in enumerate(plan):
            time.sleep(delay)
            while not trial.is_set(STOPPED) and os.getppid() == owner:
                found = sorted(pid for pid in children(owner) if pid != os.getpid() and is_running(pid))
                if found:
                    disturb_one(book, slot, found[int(choice * len(found))], number, pause_s)
                    break
                time.sleep(0.0002)
    finally:
        os._exit(0)


def disturb_one(book, slot, pid, number, pause_s):
    if pause_s is None:
        book.kills[2 * slot + 1] = number
        book.kills[2 * slot] = pid
    kill_or_stop(pid, number, pause_s)


# ---- what came of it ----


class Tasks:
    """The tasks of a trial: their futures and what is right for each."""

    def __init__(self, trial, book, kinds=KINDS):
        self.trial, self.book, self.kinds = trial, book, kinds
        self.futures, self.right, self.unwritten = {}, {}, set()
        self.failed = {}  # pid -> number of the task that failed with it

    def submit(self, executor, number):
        kind = self.trial.chance.choice(self.kinds)
        function, arguments, self.right[number] = kind(self.trial, self.book, number)
        if kind is builtin:
            self.unwritten.add(number)
        try:
            self.futures[number] = executor.submit(function, *arguments)
        except Exception as error:
            if self.right[number] is not ANY_ERROR or "after shutdown" in str(error):
                raise
            self.futures[number] = concurrent.futures.Future()
            self.futures[number].set_exception(error)

    def check_all(self, limit_s=20, is_timeout=lambda number: False):
        _, unfinished = concurrent.futures.wait(self.futures.values(), limit_s)
        check(not unfinished, "these never end:", sorted(n for n, f in self.futures.items() if f in unfinished),
              "by whom:", list(self.book.pids), "killed:", list(self.book.kills))
        for number, future in self.futures.items():
            if future.cancelled():
                check(not self.book.runs[number], "cancelled and run:", number)
            else:
                self.check_one(number, future, is_timeout)

    def check_one(self, number, future, is_timeout):
        right, error, book = self.right[number], future.exception(), self.book
        check(book.runs[number] <= 1, "it ran twice:", number)
        if isinstance(error, snakefish.WorkerDied):
            return self.check_died(number, error)
        if isinstance(error, TimeoutError) and is_timeout(number):
            return None
        if right is ANY_ERROR:
            return check(isinstance(error, Exception), "it has a result:", number)
        check(book.runs[number] == 1 or number in self.unwritten, "it did not run:", number, repr(error))
        if isinstance(right, Exception):
            return check(type(error) is type(right) and error.args == right.args, "not its exception:", number, repr(error))
        check(error is None, "it failed:", number, repr(error))
        return check(right is not LOST and future.result() == right, "not its result:", number, repr(future.result())[:80])

    def check_died(self, number, error):
        book, pid = self.book, error.pid
        statuses = book.signals(pid)
        if self.right[number] is LOST and book.pids[number] == pid:
            statuses = statuses | {5, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGABRT}
        check(error.exit_status in statuses, "nobody did that to its worker:", number, error, statuses)
        check(str(pid) in str(error), "it does not name the worker:", error)
        check(pid not in self.failed, "two failed with one worker:", number, self.failed.get(pid), error)
        self.failed[pid] = number
        check(book.pids[number] in (0, pid), "another worker ran it:", number, book.pids[number], error)
        later = [n for n in self.futures if n != number and book.pids[n] == pid and book.runs[number]
                 and book.began[n] > book.began[number]]
        check(not later, "its worker began others after it:", number, later)


def check_goes_on(trial, executor, workers):
    trial.end_killer()
    numbers = range(3 * workers)
    check([f.result(15) for f in [executor.submit(pow, n, 2) for n in numbers]] == [n * n for n in numbers], "what comes later")
    check(len(children()) <= workers, "more workers than asked for:", children())


def new_executor(trial, workers, **more):
    if not hasattr(snakefish, "Executor"):
        raise Skipped("there is no Executor")
    if trial.chance.random() < 0.3:
        more["max_tasks_per_child"] = trial.chance.choice((1, 2, 5))
    if trial.chance.random() < 0.3:
        more.update(initializer=time.sleep, initargs=(0.001,))
    return snakefish.Executor(workers, **more)


@program
def workers_of_an_executor_are_killed(trial):
    book, workers = Book(), trial.chance.randint(1, 4)
    disturb_workers(trial, book)
    tasks = Tasks(trial, book, KINDS if trial.chance.random() < 0.7 else (trial.chance.choice(KINDS),))
    with new_executor(trial, workers) as executor:
        for number in range(trial.chance.choice((5, 20, MOST))):
            tasks.submit(executor, number)
            if trial.chance.random() < 0.03:
                time.sleep(trial.moment())
            if trial.chance.random() < 0.02:
                executor.refresh()
        tasks.check_all()
        check_goes_on(trial, executor, workers)


@program
def workers_of_an_executor_are_killed_while_threads_submit_and_cancel(trial):
    """And it is shut down, or collected, or neither, at a random moment of it."""
    warnings.simplefilter("ignore")  # the threads are alive at forks; they hold no lock that a worker needs
    book, workers = Book(), trial.chance.randint(1, 4)
    disturb_workers(trial, book)
    executor, tasks, cancelled, errors = new_executor(trial, workers), Tasks(trial, book), [], []
    end = trial.chance.choice(("none", "wait", "no wait", "cancel", "cancel, no wait", "collect"))
    plan = [[(number, trial.moment(), trial.chance.random() < 0.2) for number in range(first, MOST, 3)] for first in range(3)]

    def submit(part, executor):
        try:
            for number, delay, cancel in part:
                tasks.submit(executor, number)
                if cancel and tasks.futures[number].cancel():
                    cancelled.append(number)
                if delay < 0.001:
                    time.sleep(delay)
        except RuntimeError as error:
            if end in ("none", "collect") or "after shutdown" not in str(error):
                errors.append(error)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=submit, args=(part, executor)) for part in plan]
    for thread in threads:
        thread.start()
    time.sleep(trial.moment())
    if end == "collect":
        for thread in threads:
            thread.join()
        del executor, submit, thread, threads[:]
        gc.collect()
    elif end != "none":
        executor.shutdown(wait="no" not in end, cancel_futures="cancel" in end)
    for thread in threads:
        thread.join()
    for error in errors:
        raise error
    tasks.check_all()
    check(all(tasks.futures[number].cancelled() for number in cancelled), "cancelled, and not cancelled")
    if end == "none":
        check_goes_on(trial, executor, workers)
        executor.shutdown()
    trial.end_killer()
    trial.wait_for(lambda: not children(), f"the end of all workers, after this end: {end}")


@program
def workers_of_an_executors_map_are_killed(trial):
    book, workers = Book(), trial.chance.randint(1, 4)
    disturb_workers(trial, book)
    size = trial.chance.choice((1, 1000, 200000))
    chunksize = trial.chance.choice((0, 1, 3, 40))
    work = trial.chance.choice((0.0005, 0.005))

    def f(number):
        return book.run(number, lambda: busy(work) or bytes([number]) * size)

    with new_executor(trial, workers) as executor:
        got = []
        try:
            for value in executor.map(f, range(MOST), chunksize=chunksize):
                got.append(value)
        except snakefish.WorkerDied as died:
            check(died.exit_status in book.signals(died.pid), "nobody did that to its worker:", died)
            check(len(got) < MOST, "all results and an exception:", died)
        else:
            check(len(got) == MOST, "it ended early:", len(got))
        check(got == [bytes([number]) * size for number in range(len(got))], "wrong results")
        check(max(book.runs[:]) <= 1, "one ran twice:", list(book.runs[:]))
        check_goes_on(trial, executor, workers)


@program
def tasks_of_an_executor_take_too_long_while_workers_are_killed(trial):
    """One that runs into task_timeout fails with TimeoutError, its worker is ended, and no other task fails for it."""
    book, workers, slow = Book(), trial.chance.randint(2, 4), set()

    def endless(trial, book, number):
        slow.add(number)
        return (lambda: book.run(number, lambda: time.sleep(60))), (), LOST

    disturb_workers(trial, book)
    tasks = Tasks(trial, book, (quick, sleeping, large_result, *[endless] * (trial.chance.random() < 0.8)))
    with new_executor(trial, workers, task_timeout=1) as executor:
        for number in range(6):
            tasks.submit(executor, number)
        tasks.check_all(is_timeout=lambda number: number in slow)
        check_goes_on(trial, executor, workers)


@program
def workers_of_an_executor_are_stopped(trial):
    """That makes them late, and nothing fails."""
    book, workers = Book(), trial.chance.randint(1, 4)
    disturb_workers(trial, book, trial.chance.choice((0.005, 0.05)))
    tasks = Tasks(trial, book, [kind for kind in KINDS if kind is not ending])
    with new_executor(trial, workers) as executor:
        for number in range(MOST):
            tasks.submit(executor, number)
        tasks.check_all()
        check(not tasks.failed, "they failed:", tasks.failed)
        check_goes_on(trial, executor, workers)


@program(killed_within_s=0.2)
def the_owner_of_an_executor_is_killed(trial):
    """Its workers end with it, whatever they do."""
    tasks = Tasks(trial, Book(), (quick, sleeping, large_result, large_argument, with_a_thread))
    with new_executor(trial, 3) as executor:
        while True:
            for number in range(MOST):
                tasks.submit(executor, number)
            concurrent.futures.wait(tasks.futures.values())
