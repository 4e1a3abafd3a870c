"""map and starmap with executor=: chunks as tasks of somebody's executor. Internal; `_submit_call.py` calls it.

As without an executor: results in the order of the arguments; the exception of the earliest failing argument, after which
nothing more is submitted and nothing is merged; merges in the order of the arguments. Few chunks are under way at a time, so
that a failure ends the map soon. Without chunksize a chunk is a share of what is left, smaller towards the end, but not so
small that the executor's own time for a task would count.
"""

from snakefish._progress import bar
from snakefish._submit import BadArgument, Call, add_note, count_workers, describe
from snakefish._submitted import Job, is_interruption

_LEAST_S = 0.05  # that a chunk is to take: a task costs Dask about a millisecond, the others less
_AHEAD = 2  # chunks for each worker that are under way


class Split:
    """How many of the arguments the next chunk gets."""

    def __init__(self, count, workers, local, chunksize, even):
        self._workers, self._local = workers, max(1, local or 1)
        self._fixed = chunksize or (even and -(-count // workers)) or 0
        self._done, self._seconds = 0, 0.0

    def next(self, left):
        if self._fixed:
            return min(self._fixed, left)
        share = -(-left // (2 * self._workers))
        each_s = self._seconds / self._done if self._done else 0.0
        least = int(_LEAST_S / each_s) if each_s else 1
        return min(left, max(share, min(least, -(-left // self._workers)), min(left, self._local)))

    def learn(self, arguments, seconds):
        self._done += arguments
        self._seconds += seconds


class _Run:
    """The state of one map."""

    def __init__(self, call, items, split, progress):
        self._call, self._items, self._split, self._progress = call, items, split, progress
        self._results, self._extracted = [None] * len(items), {}
        self._next, self.chunks, self._done = 0, 0, 0
        self._failed, self._failure = None, None  # the earliest failing chunk, and why

    def run(self):
        """(results, what was extracted in the order of the chunks, and from which chunk: [(value, chunk)])."""
        self._call.refuse_to_wait()
        self._submit()
        while self._is_awaited():
            self._take(self._call.wait())
            self._submit()
        if self._failure is not None:
            raise self._failure
        return self._results, [(value, chunk) for _, (chunk, values) in sorted(self._extracted.items()) for value in values]

    def _is_awaited(self):
        """Whether there are chunks that matter: once one has failed, those before it."""
        return any(self._failed is None or number < self._failed for number in self._call.under_way)

    def _submit(self):
        while (self._failed is None and self._next < len(self._items)
               and len(self._call.under_way) < _AHEAD * self._call.workers):
            first = self._next
            end = first + self._split.next(len(self._items) - first)
            try:
                self._submit_chunk(first, self._items[first:end])
            except BadArgument as bad:
                good, reason = bad.args
                add_note(reason, f"argument {first + len(good)} cannot be pickled")
                if good:
                    self._submit_chunk(first, good)
                self._call.fail(self.chunks, first + len(good), end, reason)
                self._next = len(self._items)
            except Exception as error:  # the executor's; what was submitted before may fail for an earlier argument
                if is_interruption(error):
                    raise
                self._call.fail(self.chunks, first, end, error)
                self._next = len(self._items)

    def _submit_chunk(self, first, items):
        self._call.submit(self.chunks, first, items)
        self.chunks += 1
        self._next = first + len(items)

    def _take(self, number):
        if number not in self._call.under_way:
            return
        first, end, *_ = self._call.under_way[number]
        outcome = self._call.open(number)
        if outcome is None:
            return
        self._call.forget(number)
        if outcome.failure is not None:
            if self._failed is None or number < self._failed:
                self._failed, self._failure = number, outcome.failure
            return
        self._results[first:end] = outcome.results
        self._extracted[number] = describe(number, first, end), outcome.extracted
        self._split.learn(end - first, outcome.seconds)
        self._done += end - first
        if self._progress is not None and self._failed is None:
            self._progress(self._done, len(self._items))


def run_map(executor, local, star, f, args, chunksize=0, extract=None, merge=None, progress=None, globals=None,
            shared=None):
    """shared: a Shared of _submit_share.py, or None."""
    items = args if type(args) in (list, tuple, range) else list(args)
    if shared is not None:
        job = Job(f, star, False, local, None, shared.globals, shared.parcel)
    else:
        job = Job(f, star, False, local, extract, globals if extract is not None else None)
    if not items:
        return []
    workers = count_workers(executor, nodes=local is not None)
    call = Call(executor, job, workers, shared)
    shown = bar(len(items)) if progress is True else None
    try:
        told = shown if progress is True else progress or None
        split = Split(len(items), workers, local, chunksize or 0, extract is not None or shared is not None)
        run = _Run(call, items, split, told)
        results, extracted = call.trace.run_map(f, workers, run) if call.trace else run.run()
    finally:
        call.cancel()
        if shown is not None:
            shown.close()
    if shared is not None:
        _traced(call.trace, shared.merge_all, extracted)
        return results
    for value, _ in extracted:
        _merge(merge, globals, value, call.trace)
    return results


def _traced(trace, merge, *arguments):
    if trace:
        trace.merge(merge, *arguments)
    else:
        merge(*arguments)


def _merge(merge, globals, value, trace):
    try:
        _traced(trace, merge, globals, value)
    except KeyError as error:
        add_note(error, f"merge was given the globals of module {globals.get('__name__')!r}, because code of that module "
                        "made the call; the argument globals= says others")
        raise
