"""The chunks of a map as tasks of an executor: of the standard library, loky, Dask, MPI, or snakefish. Internal;
`_submit_map.py` and `_submit_imap.py` are the maps, `_submitted.py` is what runs in the workers.

A `Call` is one map on one executor. It submits chunks, hears which are done, and opens what came of them. Nothing waits in
the executor's own threads, and they hold no reference to the map: they only put a chunk's number into a queue.

How the job gets to the workers depends on what they share with this process:

    everything (threads)       the job and the arguments as they are; results and exceptions too
    what was there at a fork   the job as a closure, which snakefish's Executor passes on by its number
    nothing                    the job packed: with each chunk where it is small, else only to workers that lack it
"""

import os
import pickle
import queue
import signal
import threading
from collections import namedtuple
from concurrent.futures import BrokenExecutor, CancelledError, Executor, ThreadPoolExecutor

import snakefish
from snakefish import _submitted
from snakefish._snakefish import (
    _TASK_MAP,
    _WAIT_MESSAGE as FOR_RESULTS,
    _instrument_new_task as _new_task,
    _instrument_wait as _traced_wait,
)
from snakefish._child import summarise
from snakefish._submit_failure import died_of, unpack_failure

_SMALL_JOB_BYTES = 1 << 16  # it travels with each chunk
_REAPED_S = 1  # within which the processes of a broken pool are reaped
_DEATHS = ("KilledWorker",)  # names of exceptions of engines whose worker has died, besides BrokenExecutor


# What came of a chunk. failure: None, or what comes in the place of the result after the last one.
Outcome = namedtuple("Outcome", "results extracted failure seconds")


class BadArgument(Exception):
    """An argument cannot be pickled. args: the items of its chunk that are before it, the reason."""


def check_executor(executor):
    if isinstance(executor, Executor):
        return
    instead = ""
    if hasattr(executor, "get_executor"):
        instead = ": of a Dask client write executor=client.get_executor()"
    elif hasattr(executor, "apply_async"):
        instead = ": instead of a multiprocessing.Pool make a concurrent.futures.ProcessPoolExecutor"
    raise TypeError(f"executor must be a concurrent.futures.Executor, not {type(executor).__name__}{instead}")


def count_workers(executor, nodes=False):
    """How many tasks it runs at once; for Dask, nodes=True counts the workers and not their threads."""
    if inherits(executor):
        return executor._state.max_workers
    client = getattr(executor, "_client", None)
    if hasattr(client, "nthreads"):  # Dask
        threads = client.nthreads()
        return max(1, len(threads) if nodes else sum(threads.values()))
    for name in ("_max_workers", "num_workers"):  # the second is that of mpi4py 4
        count = getattr(executor, name, None)
        if isinstance(count, int) and count > 0:
            return count
    return snakefish.cpu_count()


def add_note(error, note):
    """As BaseException.add_note, which Python has from 3.11 on."""
    try:
        error.__notes__ = [*getattr(error, "__notes__", ()), note]
    except Exception:  # the exception itself matters more
        pass


def _shares_memory(executor):
    """Whether its workers are threads of this interpreter."""
    import concurrent.futures

    return isinstance(executor, ThreadPoolExecutor) and not isinstance(
        executor, getattr(concurrent.futures, "InterpreterPoolExecutor", ()))


def inherits(executor):
    return isinstance(executor, snakefish.Executor)


def _pack_job(job, shared):
    try:
        return _submitted.pack(job, leaves_program=True) if shared is None else shared.pack_job(job)
    except Exception as reason:
        if _submitted.is_interruption(reason) or shared is not None and shared.has_refused(reason):
            raise
        what = "f" if job.extract is None else "f or extract"
        if _submitted.find_cloudpickle() is None:
            advice = "install cloudpickle (Debian: python3-cloudpickle), or define it in a module of its own"
        else:
            advice = "cloudpickle cannot either: what it refers to has to be picklable"
        raise pickle.PicklingError(f"{what} cannot be pickled for the executor's workers: {reason}. {advice}") from reason


def _make_task(f, star, lazy, local, extract, globals, shared):
    """The job as a closure over these. For the same ones snakefish's Executor finds the number that it gave it before."""
    if shared is None:
        return lambda first, packed_items: _submitted.run_job(
            _submitted.Job(f, star, lazy, local, extract, globals), first, packed_items)
    return lambda key, packed_parcel, first, packed_items: _submitted.run_inherited(
        _submitted.Job(f, star, lazy, local, extract, globals), first, packed_items, key, packed_parcel)


def _fates(executor):
    """(pid, exit status) of the processes of a ProcessPoolExecutor or of loky that have died. Its own thread ends the
    others then, by SIGTERM, and reaps all: whoever asks for an exit status before that reaps a process in its place, and
    multiprocessing would keep that process among its children."""
    processes = list((getattr(executor, "_processes", None) or {}).values())
    reaper = getattr(executor, "_executor_manager_thread", None)
    if reaper is None or reaper is threading.current_thread():
        return []
    reaper.join(_REAPED_S)
    if reaper.is_alive():
        return []
    ends = [(process.pid, getattr(process, "exitcode", None)) for process in processes]
    return [(pid, status) for pid, status in ends if status not in (None, 0, -signal.SIGTERM)]


def _describe_fates(fates):
    died = [f"pid {pid} {f'was killed by signal {-status}' if status < 0 else f'ended with exit status {status}'}"
            for pid, status in fates if status is not None]
    return f" ({', '.join(died)})" if died else ""


class Call:
    """One map on one executor. Made, used and cancelled by one process: in a fork of it nothing happens. shared: a Shared of
    _submit_share.py, whose parcel the job has; or None."""

    def __init__(self, executor, job, workers, shared=None):
        self.executor, self.job, self.workers = executor, job, workers
        self.done = queue.SimpleQueue()  # numbers of chunks; None: something else has happened
        self.under_way = {}  # number: (first argument, end, items packed or as they are, future)
        self._owner, self._key, self._submitted = os.getpid(), os.urandom(16), 0
        self._shares, self._shared = _shares_memory(executor), shared
        if shared is not None:
            if self._shares:
                raise ValueError(_submitted.SHARED_BY_THREADS)
            _submitted.owners[self._key] = self._owner
        self._packed_job, self._task = None, None
        self.trace = None  # of chunks that go to other programs; snakefish's Executor traces its own
        if inherits(executor):
            self._task = _make_task(**vars(job))
            self._packed_job = shared and shared.pack_parcel()
            if snakefish.trace.enabled():  # without an event of its own: it says that chunks are of a map on an executor
                _new_task(str(getattr(job.f, "__name__", None) or type(job.f).__name__), _TASK_MAP)
        elif not self._shares:
            self._packed_job = _pack_job(job, shared)
            if snakefish.trace.enabled():
                from snakefish._submit_trace import Trace

                self.trace = Trace()

    # ---- submitting ----

    def submit(self, number, first, items):
        """Submits a chunk. Raises BadArgument, and what the executor's submit raises."""
        end = first + len(items)
        if not self._shares:
            since = self.trace and snakefish.get_timestamp()
            items = self._pack_items(items)
            if self.trace:
                self.trace.pickled(since, len(items))
        with_job = self._packed_job is not None and (
            len(self._packed_job) <= _SMALL_JOB_BYTES or self._submitted < self.workers)
        self._hand_over(number, first, end, items, with_job)
        self._submitted += 1

    def _pack_items(self, items):
        try:
            if self._shared is not None:
                return self._shared.pack_items(items)
            return _submitted.pack(items, leaves_program=self._task is None)
        except Exception as error:
            if _submitted.is_interruption(error):
                raise
            _, count, reason = _submitted.pack_singly(items)
            if reason is None:
                raise error
            raise BadArgument(items[:count], reason) from reason

    def _hand_over(self, number, first, end, items, with_job):
        trace, done = self.trace, self.done
        job = self._packed_job if with_job else None
        if trace:
            ticket = trace.submit(number, len(self.under_way))
            future = self.executor.submit(_submitted.run_packed, self._key, job, first, items, ticket)
        elif self._shares:
            future = self.executor.submit(self.job.run, first, items)
        elif self._task is not None and self._packed_job is None:
            future = self.executor.submit(self._task, first, items)
        elif self._task is not None:
            future = self.executor.submit(self._task, self._key, job, first, items)
        else:
            future = self.executor.submit(_submitted.run_packed, self._key, job, first, items)
        self.under_way[number] = first, end, items, future
        future.add_done_callback(lambda _: (trace and trace.hear(number), done.put(number)))

    def fail(self, number, first, end, error):
        """Counts as a chunk that has failed for this reason."""
        self.under_way[number] = first, end, None, error
        self.done.put(number)

    # ---- what comes back ----

    def wait(self):
        """What the queue `done` has next."""
        if self.trace:
            return self.trace.wait(self.done.get)
        return _traced_wait(self.done.get, FOR_RESULTS, None) if snakefish.trace.enabled() else self.done.get()

    def open(self, number):
        """The Outcome of a chunk that is done, or None: it was submitted again. Raises only interruptions. It can be called
        again until the chunk is forgotten."""
        first, end, items, future = self.under_way[number]
        if isinstance(future, BaseException):
            return Outcome([], [], future, 0.0)
        try:
            came = future.result(0)
        except Exception as error:
            if _submitted.is_interruption(error):
                raise
            return Outcome([], [], self._explain(number, first, end, error), 0.0)
        if came is None:
            self._hand_over(number, first, end, items, True)
            return None
        return Outcome(*came) if self._shares else self._unpack(came, number, first, end)

    def is_done(self, number):
        """Whether it can be opened. A number may come for a chunk whose submit was interrupted, so that it was submitted
        again."""
        if number not in self.under_way:
            return False
        future = self.under_way[number][-1]
        return isinstance(future, BaseException) or future.done()

    def is_own(self):
        """Whether this is the process that made it, and no fork of that."""
        return self._owner == os.getpid()

    def refuse_to_wait(self):
        """Raises where the wait for a chunk would not end."""
        if not self.is_own():
            raise RuntimeError(f"this map was begun by process {self._owner}: only that process gets its results")
        if self._task is not None:
            self.executor._state.refuse_manager()

    def forget(self, number):
        """Its outcome was taken."""
        del self.under_way[number]

    def _unpack(self, came, number, first, end):
        packed, packed_extracted, failure, seconds, where = came[:5]
        since = self.trace and snakefish.get_timestamp()
        what = f"its results for {describe(number, first, end)}"
        try:
            results = pickle.loads(packed)
            if self._shared is not None:
                results = list(map(self._shared.loads, results))
            what = f"what it extracted after {describe(number, first, end)}"
            extracted = pickle.loads(packed_extracted) if packed_extracted else []
        except Exception as reason:
            if _submitted.is_interruption(reason):
                raise
            return Outcome([], [], died_of(f"a worker ({where}): {what} cannot be unpickled: {reason}", reason), seconds)
        if self.trace:
            self.trace.pickled(since, len(packed))
            self.trace.take(number, came[5])
        failure = failure and unpack_failure(failure, f"argument {first + len(results)}", where)
        return Outcome(results, extracted, failure, seconds)

    def _explain(self, number, first, end, error):
        """The exception for a chunk that the executor did not run to its end."""
        chunk, name = describe(number, first, end), type(self.executor).__name__
        if isinstance(error, BrokenExecutor) or type(error).__name__ in _DEATHS:
            of_snakefish = isinstance(error, snakefish.ChildDied)
            fates = _describe_fates([(error.pid, error.exit_status)] if of_snakefish else _fates(self.executor))
            died = died_of(f"a worker of the {name}{fates} died before it had sent its results for {chunk}", error)
            if of_snakefish:
                died.pid, died.exit_status, died.name = error.pid, error.exit_status, error.name
            return died
        if isinstance(error, TimeoutError):  # task_timeout of snakefish's Executor
            add_note(error, f"it had not sent its results for {chunk}")
            return error
        if isinstance(error, CancelledError):
            text = f"the {name} was shut down, or its task cancelled, before it had done {chunk}"
        else:
            text = f"the {name} did not run {chunk}: {summarise(error)}"
        if isinstance(error, ModuleNotFoundError) and error.name and error.name.split(".")[0] == "snakefish":
            text += ". Install snakefish where its workers run"
        failed = RuntimeError(text)
        failed.__cause__ = error
        return failed

    def cancel(self):
        """Takes back what has not begun: what the workers have not got to. What runs goes on, as an executor cannot end it,
        and is not asked to stop: Dask logs an error for a task that ends after it was cancelled."""
        under_way, self.under_way = self.under_way, {}
        _submitted.owners.pop(self._key, None)
        if not self.is_own():  # a lock of a future may be held by a thread that is not here
            return
        if self.trace:
            self.trace.end()
        left = [future for *_, future in under_way.values() if not isinstance(future, BaseException)]
        cancelled = [future.cancel() for future in reversed(left[self.workers:])]
        if any(cancelled) and hasattr(self.executor, "_pending_work_items"):
            lock = getattr(self.executor, "_shutdown_lock", None)
            if lock is not None and lock.locked():  # by this thread, maybe: the garbage collector may run in its submit()
                threading.Thread(target=_wake, args=(self.executor,), daemon=True).start()
            else:
                _wake(self.executor)


def _wake(executor):
    """Lets a ProcessPoolExecutor forget what was cancelled. Where nothing but cancelled tasks is left, that of Pythons before
    3.12 may wait for them in shutdown(), for ever."""
    try:
        executor.submit(abs, 0)
    except RuntimeError:  # it was shut down, or is broken
        pass


def describe(number, first, end):
    return f"chunk {number}, arguments {first} to {end - 1}"
