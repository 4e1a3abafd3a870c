"""What runs in the workers of somebody's executor: a chunk of a map's arguments. Internal; `_submit.py` submits it.

It is imported there by name, so all that these workers need is snakefish. A `Job` is what a map does with each chunk. It
travels packed, as bytes, with a chunk; a worker keeps the last few, so that a large one has to travel only once to each.

    there: run_packed(key, packed job or None, first, packed items) -> None: send the job too
                                                                    or (results, extracted, failure, seconds, where)

All in this tuple but the seconds is bytes and text, whatever f returns and raises: no executor has to pickle more. Where the
caller is traced, a ticket is one argument more, and a report one element more: `_submitted_trace.py`.
"""

import os
import pickle
import sys
import time

from snakefish import _snakefish as snakefish  # its package needs the Executor, which needs this
from snakefish._child import exit_status, format_exception, summarise
from snakefish._exceptions import pickle_exception, reduce_exception
from snakefish._interruption import is_from_signal_handler

_PROTOCOL = 5
_KEPT = 8  # jobs
_jobs: dict = {}  # key: Job, the last ones that ran here
owners: dict = {}  # of calls with share= under way: key: the process that has made it, also in forks of that
SHARED_BY_THREADS = ("share= does not go with an executor whose workers are threads of this process: they would change its "
                     "globals themselves. Leave executor= out, or take an executor with processes")


# ---- packing ----


def find_cloudpickle():
    """The module, or None."""
    try:
        import cloudpickle  # type: ignore[import]
    except ImportError:
        return None
    return cloudpickle


def is_interruption(error):
    """Whether it says nothing about what was being pickled: see ext/py/base/interruption.h."""
    return isinstance(error, MemoryError) or is_from_signal_handler(error)


def pack(value, leaves_program=False, number_of=None):
    """The pickle of a value. What pickle cannot, and where it leaves the program what is defined in __main__, which
    other programs do not have, goes by cloudpickle, if that is installed. Raises what pickling raised. number_of: as of
    _merge_snapshot.dumps; None: no object goes as a number."""
    packed, reason = b"", None
    try:
        packed = _dumps(value, number_of, pickle, "Pickler")
    except Exception as error:
        if is_interruption(error):
            raise
        reason = error
    if reason is None and not (leaves_program and b"__main__" in packed):
        return packed
    cloudpickle = find_cloudpickle()
    if cloudpickle is not None:
        return _dumps(value, number_of, cloudpickle, "CloudPickler")
    if reason is not None:
        raise reason
    return packed


def _dumps(value, number_of, module, pickler):
    if number_of is None:
        return module.dumps(value, _PROTOCOL)
    from snakefish._merge_snapshot import dumps

    return dumps(value, number_of, getattr(module, pickler))


def pack_singly(values):
    """(the pickle of those before the first one that cannot be pickled, their number, why that one cannot or None)."""
    for i, value in enumerate(values):
        try:
            pack(value)
        except Exception as reason:
            if is_interruption(reason):
                raise
            return pack(values[:i]), i, reason
    return pack(values), len(values), None


# ---- the job ----


def _anchor(globals):
    """A function that has these globals, for cloudpickle, which keeps the globals of functions that travel together."""
    return type(_anchor)((lambda: None).__code__, globals, "anchor")


class Job:
    """What a map does with each chunk. star: f takes an argument's items. lazy: results before an exception are wanted.
    local: so many processes share a chunk, 0: one for each CPU, None: the worker computes it itself. extract: runs after
    the chunk, in a fork of the worker, with `globals`: so what the chunk changes stays there. shared: what share= names,
    a Parcel of _submitted_share.py in the caller, and Opened in the worker; None: nothing."""

    def __init__(self, f, star, lazy, local, extract, globals, shared=None):
        self.f, self.star, self.lazy, self.local = f, star, lazy, local
        self.extract, self.globals, self.shared = extract, globals, shared

    def __getstate__(self):
        state = dict(self.__dict__)
        if self.globals is not None:
            name = self.globals.get("__name__")
            is_module = name != "__main__" and getattr(sys.modules.get(name), "__dict__", None) is self.globals
            by_name = is_module or find_cloudpickle() is None
            state["globals"] = name if by_name else _anchor(self.globals)
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        if isinstance(self.globals, str):
            self.globals = vars(__import__(self.globals, fromlist=["*"]))
        elif self.globals is not None:
            self.globals = self.globals.__globals__
        if self.shared is not None:
            self.shared = self.shared.open(self.f, self.globals)

    def loads(self, packed_items):
        return pickle.loads(packed_items) if self.shared is None else self.shared.loads(packed_items)

    def run(self, first, items):
        """(results, what was extracted, what was raised or None, seconds): the results are those before it. first: the
        number of the first argument."""
        began, results, extracted = time.perf_counter(), [], []
        error = self._run(first, items, results, extracted)
        return results, extracted, error, time.perf_counter() - began

    def _run(self, first, items, results, extracted):
        """What was raised, or None."""
        try:
            if self.extract is not None or self.local is not None:
                self._run_in_forks(items, results, extracted)
            elif self.star:
                for item in items:
                    results.append(self.f(*item))
            else:
                for item in items:
                    results.append(self.f(item))
        except SystemExit as error:
            status = exit_status(error)
            died = snakefish.ChildDied(f"f called sys.exit at argument {first + len(results)}: exit status {status}")
            died.__cause__, died.pid, died.exit_status = error, os.getpid(), status
            return died
        except BaseException as error:
            in_fork = self.extract is not None or self.local is not None
            if in_fork and first and isinstance(error, snakefish.ChildDied):
                error.args = (f"{error} (numbers are counted from argument {first})",)
            return error.with_traceback(error.__traceback__.tb_next)
        return None

    def _run_in_forks(self, items, results, extracted):
        function = snakefish.starmap if self.star else snakefish.map
        if self.extract is not None:  # in the order of the arguments, each part from the globals as they are here
            processes = 1 if self.local is None else self.local
            results += function(self.f, items, self.extract, lambda g, more: extracted.append(more), processes,
                                globals=self.globals)
        elif self.lazy:
            f = (lambda item: self.f(*item)) if self.star else self.f
            parts = 4 * (self.local or snakefish.cpu_count())
            with snakefish.imap(f, items, self.local, max(1, len(items) // parts)) as ordered:
                for result in ordered:
                    results.append(result)
        else:
            results += function(self.f, items, self.local)


# ---- the other side ----


def where():
    return f"pid {os.getpid()} on {os.uname().nodename}"


class _ByValue:
    """Unpickles as an exception whose class only cloudpickle can pickle. left_out: the names of attributes that cannot
    travel, and why. See _exceptions.py."""

    def __init__(self, error):
        self.error, self.left_out = error, {}

    def __reduce__(self):
        return reduce_exception(self.error, self._can_pack)

    def _can_pack(self, name, value):
        try:
            pack(value)
            return True
        except Exception as reason:
            self.left_out[name] = reason
            return False


def _pack_exception(error):
    """(its pickle, what its traceback has to say besides). Raises what pickle raises."""
    try:
        return pickle_exception(error)
    except Exception as reason:
        if find_cloudpickle() is None:
            raise
        by_value = _ByValue(error)
        try:
            packed = pack(by_value)
        except Exception:  # the first reason is the plainer one
            raise reason from None
        return packed, "".join(f"(its attribute {name!r} stayed in the worker: {why})\n"
                               for name, why in by_value.left_out.items())


def pack_failure(error, sentence=None):
    """(packed exception or None, sentence or None, traceback). sentence: what could not be done; error is the reason."""
    try:
        text = format_exception(error)
    except Exception:
        text = summarise(error)
    if sentence is not None:
        return None, f"{sentence}: {error}", text
    try:
        packed, lines = _pack_exception(error)
        return packed, None, text + lines
    except Exception as reason:
        return None, f"what f raised was {summarise(error)}, an exception that cannot be pickled: {reason}", text


def _pack_results(results, first):
    """(packed results, failure or None)."""
    try:
        return pack(results), None
    except Exception as error:
        of_all = error
    packed, count, reason = pack_singly(results)
    if reason is None:
        raise of_all
    kind = type(results[count]).__name__
    return packed, pack_failure(reason, f"its result for argument {first + count} ({kind}) cannot be pickled")


def _pack_extracted(extracted, first):
    try:
        return pack(extracted), None
    except Exception as reason:
        return None, pack_failure(reason, f"what it extracted after argument {first} and the next cannot be pickled")


def run_job(job, first, packed_items, recording=None):
    """Runs a chunk, and packs what comes of it. recording: see _submitted_trace.py."""
    since = recording and recording.now()
    try:
        items = job.loads(packed_items)
    except Exception as reason:
        failure = pack_failure(reason, f"arguments from {first} on cannot be unpickled in the worker")
        return pack([]), None, failure, 0.0, where()
    if recording:
        recording.pickled(since, len(packed_items))
        recording.begin(len(items))
    if job.shared is not None:
        packed, packed_extracted, failure, seconds = job.shared.run(job, first, items)
        return packed, packed_extracted, failure, seconds, where()
    results, extracted, error, seconds = job.run(first, items)
    since = recording and recording.now()
    packed, failure = _pack_results(results, first)
    if recording:
        recording.pickled(since, len(packed))
    if failure is None and error is not None:
        failure = pack_failure(error)
    packed_extracted = None
    if failure is None and job.extract is not None:
        packed_extracted, failure = _pack_extracted(extracted, first)
    return packed, packed_extracted, failure, seconds, where()


def run_packed(key, packed_job, first, packed_items, ticket=None):
    """What is submitted. None: this worker does not have the job; submit it again, with the job."""
    if owners.get(key) == os.getpid():
        return pack([]), None, pack_failure(ValueError(SHARED_BY_THREADS)), 0.0, where()
    if key not in _jobs and packed_job is None:
        return None
    if ticket is None:
        return _run_packed(key, packed_job, first, packed_items, None)
    from snakefish._submitted_trace import Recording

    with Recording(ticket) as recording:
        came = _run_packed(key, packed_job, first, packed_items, recording)
        return came and (*came, recording.end())


def _run_packed(key, packed_job, first, packed_items, recording):
    job = _jobs.get(key)
    if job is None:
        if packed_job is None:
            return None
        try:
            job = pickle.loads(packed_job)
        except Exception as reason:
            return pack([]), None, pack_failure(reason, "f cannot be unpickled in the worker"), 0.0, where()
        _keep(key, job)
    return run_job(job, first, packed_items, recording)


def run_inherited(job, first, packed_items, key, packed_parcel):
    """The same of a job that this worker has, but for what share= names."""
    if key not in _jobs:
        if packed_parcel is None:
            return None
        try:
            job.shared = pickle.loads(packed_parcel).open(job.f, job.globals)
        except Exception as reason:
            failure = pack_failure(reason, "what share= names cannot be unpickled in the worker")
            return pack([]), None, failure, 0.0, where()
        _keep(key, job)
    return run_job(_jobs[key], first, packed_items)


def _keep(key, job):
    while len(_jobs) >= _KEPT:
        _jobs.pop(next(iter(_jobs)), None)
    _jobs[key] = job
