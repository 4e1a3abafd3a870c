"""imap and imap_unordered with executor=: the iterator that they return. Internal.

Arguments are asked for as results are taken, at most 3 chunks for each worker ahead of the chunk whose results are being
handed out. What ends it (an exception of f, of the arguments, the death of a worker) has the number of a chunk too, so that
it comes in its place.
"""

from collections import deque

from snakefish._results import Results
from snakefish._submit import BadArgument, Call, Outcome, add_note, count_workers, describe
from snakefish._submit_source import Source, iter_of
from snakefish._submitted import Job, is_interruption

_AHEAD = 3  # chunks for each worker


def imap(executor, local, is_ordered, f, args, chunksize=1, shared=None):
    """shared: a Shared of _submit_share.py, or None."""
    chunksize = 1 if chunksize is None else chunksize
    if local is not None and chunksize < max(2, local):
        raise ValueError(f"local={local} divides each chunk among the processes of a worker: write chunksize=, at least "
                         f"{max(2, local)} (imap's default is 1)")
    iterator = iter_of(args)
    workers = count_workers(executor, nodes=local is not None)
    if shared is not None:
        job = Job(f, False, True, local, None, shared.globals, shared.parcel)
    else:
        job = Job(f, False, True, local, None, None)
    call = Call(executor, job, workers, shared)
    source = Source(args, iterator, chunksize, _nudger(call.done))
    return _Results(call, source, is_ordered, shared)


def _nudger(done):
    """It keeps the queue and not the call, so that a thread which asks for arguments keeps no results."""
    return lambda: done.put(None)


class _Results(Results):
    """The iterator that imap and imap_unordered return. close() takes back what the executor has not begun."""

    def __init__(self, call, source, is_ordered, shared):
        super().__init__()
        self._call, self._source, self._is_ordered, self._shared = call, source, is_ordered, shared
        self._ready = deque()  # results that can be handed out
        self._came = {}  # chunks that are done and not opened, in the order in which they came
        self._turn = 0  # the chunk that is handed out next, if in order
        self._at = 0, 0, None  # chunks and arguments that are submitted; the next chunk, once it was taken
        self._opened = None  # the chunk that comes next, while it is merged
        self._failure = None

    def _call_back(self):
        self._call.done.put(None)

    def __del__(self):
        if not getattr(self, "_closed", True):
            self.close()

    def _end(self):
        self._call.cancel()
        if self._call.is_own():  # else its thread is not here, and may have had a lock at the fork
            self._source.close()
        self._ready.clear()
        self._came.clear()

    def _next(self):
        self._call.refuse_to_wait()
        while not self._closed:
            if self._ready:
                return self._ready.popleft()
            if self._failure is not None:
                failure, self._failure, self._closed = self._failure, None, True
                raise failure
            self._feed()
            if not self._open_next():
                if self._source.is_finished() and not self._call.under_way:
                    self._closed = True
                    if self._source.error is not None:
                        raise self._source.error
                    break
                self._hear(self._call.wait())
        raise StopIteration

    def _feed(self):
        ahead = _AHEAD * self._call.workers
        while len(self._call.under_way) < ahead:
            number, first, chunk = self._at
            if chunk is None:
                self._source.want(ahead)
                chunk = self._source.take()
                if chunk is None:
                    return
                self._at = number, first, chunk
            self._submit(number, first, chunk)

    def _submit(self, number, first, chunk):
        """Submits a chunk. If that is interrupted, it is done again."""
        end = first + len(chunk)
        try:
            self._call.submit(number, first, chunk)
        except BadArgument as bad:
            good, reason = bad.args
            add_note(reason, f"argument {first + len(good)} cannot be pickled")
            if good:
                self._call.submit(number, first, good)
                number += 1
            self._stop(number, first + len(good), end, reason)
        except Exception as error:  # the executor's
            if is_interruption(error):
                raise
            self._stop(number, first, end, error)
        self._at = number + 1, end, None

    def _stop(self, number, first, end, error):
        """In the place of this chunk comes an exception, and then no more."""
        self._call.fail(number, first, end, error)
        self._source.close()

    def _hear(self, number):
        if self._call.is_done(number):
            self._came[number] = True

    def _open_next(self):
        """Opens the chunk that comes next, if it is done. Whether something has come of it."""
        number = self._turn if self._is_ordered else next(iter(self._came), None)
        if number not in self._came:
            return False
        if self._opened is None:
            self._opened = self._open(number)
        outcome, to_merge = self._opened
        if outcome is not None and self._shared is not None:
            try:
                self._shared.merge_all(to_merge)
            except Exception as failure:
                if is_interruption(failure):
                    raise
                outcome = Outcome([], [], failure, outcome.seconds)
        self._came.pop(number)
        self._opened = None
        if outcome is None:  # it was submitted again
            return True
        self._call.forget(number)
        self._turn += 1
        self._ready.extend(outcome.results)
        self._failure = outcome.failure
        if self._failure is not None and not self._is_ordered:
            self._take_rest()
        return True

    def _open(self, number):
        """(the outcome of a chunk, what is to be merged first)."""
        first, end, *_ = self._call.under_way[number]
        outcome = self._call.open(number)
        chunk = describe(number, first, end)
        return outcome, [(data, chunk) for data in outcome.extracted] if outcome is not None else []

    def _take_rest(self):
        """Before an exception come the results that are here."""
        for number in list(self._came):
            outcome = self._call.open(number)
            if outcome is not None:
                self._call.forget(number)
                self._ready.extend(outcome.results)
        self._came.clear()
