"""Executor.map: chunks of arguments as tasks, with results in the order of the arguments. Internal.

    items --> chunks: a few are under way, the manager adds the next one when one has come back --> results()
    with buffersize: no more than so many items are under way, and results() adds the next chunk when it hands out one

The size of a chunk is guided: a share of what is left, so that chunks get smaller and all workers end at about the same
time. It is bounded by the time that the arguments before have taken: a chunk should take long enough for its way to be
cheap, and not so long that results come in a few large heaps.
"""

import collections
import itertools
import math
import os
import time

from snakefish._executor_functions import RESULTS, chunk_item
from snakefish._executor_tasks import Task, name_of
from snakefish._snakefish import _Items

_LEAST_S, _MOST_S = 0.003, 0.1  # what a chunk should take
_FIRST_PARTS = 16  # the first chunks are this part of a worker's share, as nobody knows what they take
_NEXT_PARTS = 4  # and this part where calls of the function were short in the map before
_LEAST_PARTS = 8  # near the end a chunk may take only this part of _LEAST_S, where else workers would have nothing
_MORE = 2  # chunks under way besides those that workers are at


class Chunk(Task):
    """The calls of some arguments that follow each other. What its future gives: the list of results, or _Parts."""

    __slots__ = ("map", "first", "items")

    def __init__(self, map_, first, items):
        super().__init__(map_.fn, (), {})
        self.map, self.first, self.items = map_, first, items

    def resolve(self, functions):
        call, self.number = functions.item(self.fn, (), {}, self.is_whole)
        function, args, kwargs = call
        if type(self.items) is list and type(function) is int and not args and kwargs is None:
            self.item = chunk_item(function, self.items, self.map.is_star)
        else:
            self.item = (*call, self.items, self.map.is_star)

    def cancel(self):
        cancelled = super().cancel()
        self.map.is_over = self.map.is_over or cancelled
        return cancelled

    def succeed(self, results):
        seconds = results.pop() / len(self.items)
        self.map.state.functions.note_seconds(self.number, seconds)
        self.map.came_back(seconds)
        super().succeed(results)

    def fail(self, exception):
        try:
            self.map.came_back(None)
        finally:
            super().fail(exception)

    def cannot_be_packed(self, reason):
        """One argument is bad: each goes on its own, so that those before it have results."""
        if len(self.items) == 1:
            self.fail(reason)
            return
        parts = _Parts(self.map.chunk(self.first + at, [item]) for at, item in enumerate(self.items))
        self.map.state.queue(parts)
        super().succeed(parts)

    def __str__(self):
        last = self.first + len(self.items) - 1
        return f"{name_of(self.fn)} of the arguments {self.first} to {last} of a map"


class _Parts(list):
    """The chunks that a chunk was divided into."""


class Map:
    """One call of map. Only the manager takes items for chunks, but for the first ones; or with a buffer only the thread
    that takes results."""

    def __init__(self, state, fn, iterables, chunksize, buffersize):
        self.state, self.fn, self.chunksize, self.buffersize = state, fn, chunksize, buffersize
        self.is_star = len(iterables) != 1
        items = zip(*iterables) if self.is_star else iterables[0]
        if buffersize is not None:
            self.items = iter(items)
        else:
            self.items = items if type(items) is range else list(items)
        self.at = self.given = 0  # items in chunks, and handed out of their results
        self.seconds = None  # that one item takes
        self.chunks = collections.deque()  # those whose results were not handed out, in order
        self.is_over = False

    # ---- chunks ----

    def size(self):
        if self.chunksize:
            return self.chunksize
        left = len(self.items) - self.at if self.buffersize is None else self.buffersize
        share = left / self.state.max_workers
        if not self.seconds:
            before = self.state.functions.seconds(self.fn)
            parts = _NEXT_PARTS if before and share / _NEXT_PARTS * before < _LEAST_S else _FIRST_PARTS
            return max(1, int(share / parts))
        least = _LEAST_S / self.seconds
        even = max(share, least / _LEAST_PARTS)  # else one worker would have all that is left
        return max(1, math.ceil(min(max(share / 2, least), even, _MOST_S / self.seconds)))

    def chunk(self, first, items):
        chunk = Chunk(self, first, items)
        chunk.resolve(self.state.functions)
        return chunk

    def take(self, most):
        """At most so many next chunks."""
        taken = []
        while len(taken) < most and not self.is_over:
            first, size = self.at, self.size()
            if self.buffersize is None:
                end = first + size
                items = self.items[first:end]
            else:
                items = list(itertools.islice(self.items, min(size, self.buffersize - (self.at - self.given))))
            if not items:
                break
            self.at += len(items)
            taken.append(self.chunk(first, items))
        self.chunks.extend(taken)
        return taken

    def begin(self):
        chunks = self.take(self.state.max_workers + _MORE if self.buffersize is None else self.buffersize)
        if chunks:
            self.state.add(chunks)

    def came_back(self, seconds):
        """In the manager, before the future of a chunk says so: so there is a next chunk when the results of one come out.
        seconds: that one of its items took, None: not known."""
        if seconds is not None:
            self.seconds = seconds if self.seconds is None else (self.seconds + seconds) / 2
        if self.buffersize is not None or self.state.closed:
            return
        for chunk in self.take(1):
            if self.state.cancelled or self.is_over:
                chunk.cancel()
            else:
                self.state.queue([chunk])

    # ---- results ----

    def results(self, executor, end):
        """The iterator. executor: is kept while it is needed. end: of the timeout, None: for ever."""
        return _Items(self.lists(executor if self.buffersize is not None else None, end))

    def lists(self, _executor, end):
        """The results by chunks. It cancels what is left when it ends early."""
        try:
            while self.chunks:
                yield from self.opened(self.chunks.popleft(), end)
        finally:
            self.is_over = True
            self.cancel(self.chunks)

    def cancel(self, chunks):
        """Those of a copy, which a fork has made, are left alone: another thread may have had their locks then."""
        while chunks and self.state.owner == os.getpid():
            chunks.pop().future.cancel()

    def opened(self, chunk, end):
        """The list of results of a chunk, or of each of its parts, and then what was raised instead of the next result."""
        failure = None
        self.state.refuse_copy()
        if not chunk.future.done():
            self.state.refuse_manager()
        try:
            results = chunk.future.result(None if end is None else end - time.monotonic())
        except BaseException as raised:
            chunk.future.cancel()
            failure = raised
            results = vars(raised).pop(RESULTS, [])
        if type(results) is _Parts:
            yield from self.opened_parts(results, end)
            return
        self.given += len(chunk.items)
        if self.buffersize is not None and failure is None:
            self.state.add(self.take(self.buffersize))
        del chunk  # and its future with it, which refers to the results
        yield results
        if failure is not None:
            try:
                raise failure
            finally:
                del failure

    def opened_parts(self, parts, end):
        parts.reverse()
        try:
            while parts:
                yield from self.opened(parts.pop(), end)
        finally:
            self.cancel(parts)
