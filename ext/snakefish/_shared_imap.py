"""imap with share=, in forked processes. Internal; `_submit_call.py` calls it.

    next() --> all workers are forked, at the first one: none of them ever changes, so all chunks start from one state
           <-- a chunk: a worker runs it in a fork of its own, and sends its results and what it has changed
           --> this is merged; then the results are handed out

So what is merged does not depend on which worker was when ready for what, and is the same as that of a map. The workers are
those of an imap whose arguments are our chunks (ext/py/workers/imap.c): it hands them out, ends the workers, and asks an
iterable that may block in a thread of its own.
"""

import os
import pickle
from collections import deque

from snakefish import _snakefish
from snakefish._merge_share import variables_of
from snakefish._results import Results
from snakefish._submit import add_note, describe
from snakefish._submit_failure import unpack_failure
from snakefish._submit_source import CANNOT_BLOCK, iter_of
from snakefish._submitted import is_interruption, pack, pack_failure, pack_singly, where
from snakefish._submitted_share import loads, name_of, run_in_forks

_MOST = 1 << 30  # workers: as many as the default says


def imap(f, args, concurrency=0, chunksize=1, timeout=None, blas_threads=None, *, sharing):
    variables_of(sharing.rules, sharing.namespace)  # an unknown name is an error now
    iterator, chunksize = iter_of(args), chunksize or 1
    blocks = type(args) not in CANNOT_BLOCK
    most = _MOST if blocks else max(1, -(-len(args) // chunksize))

    def begin(ancestor):
        return _snakefish._imap_at_once(_Worker(f, ancestor, timeout), _chunks(iterator, chunksize, ancestor.snapshot),
                                        concurrency or 0, most, blas_threads, blocks)

    return _Results(sharing, begin)


def _chunks(iterator, size, snapshot):
    """(first argument, how many, packed arguments) of each chunk. What the iterator raises, and why an argument cannot be
    pickled, comes after the chunk before it."""
    first, failure, number_of = 0, None, snapshot.number_of
    while failure is None:
        items = []
        try:
            for item in iterator:
                items.append(item)
                if len(items) == size:
                    break
            else:
                if not items:
                    return
        except BaseException as error:
            failure = error
        try:
            packed = pack(items, number_of=number_of)
        except Exception as error:
            if is_interruption(error):
                raise
            _, count, reason = pack_singly(items)
            failure = reason or error
            add_note(failure, f"argument {first + count} cannot be pickled")
            del items[count:]
            packed = pack(items, number_of=number_of)
        if items:
            yield first, len(items), packed
        first += len(items)
    raise failure


class _Worker:
    """What the workers do with a chunk: (first argument, how many, packed results, packed changes, failure or None)."""

    def __init__(self, f, ancestor, timeout):
        self._f, self._ancestor, self._timeout = f, ancestor, timeout
        self.__name__ = name_of(f)

    def __call__(self, chunk):
        first, count, packed = chunk
        try:
            items = loads(packed, self._ancestor.snapshot)
        except Exception as reason:
            failure = pack_failure(reason, f"arguments from {first} on cannot be unpickled in the worker")
            return first, count, [], [], failure, where()
        return first, count, *run_in_forks(self._f, False, self, first, items, 1, self._timeout), where()

    # what is shared, as of _submitted_share.Opened

    def put(self):
        """It is there: this is a fork of the process that shares it."""

    @staticmethod
    def pack_result(result):
        return pack(result)

    def changes(self):
        return self._ancestor.changes()


class _Results(Results):
    """The iterator that imap returns. What was not taken is not merged. begin(ancestor): the chunks' outcomes."""

    def __init__(self, sharing, begin):
        super().__init__()
        self._sharing, self._begin, self._owner = sharing, begin, os.getpid()
        self._ancestor = self._chunks = None
        self._came = self._to_merge = None  # a chunk whose results are not ready yet, and what of it is not merged
        self._number, self._ready, self._failure = 0, deque(), None

    def _refuse(self):
        if self._owner != os.getpid():
            raise RuntimeError(f"this imap was made by process {self._owner}: only that process can iterate")

    def _call_back(self):
        if self._chunks is not None:
            self._chunks.close()

    def _end(self):
        chunks, self._chunks = self._chunks, None
        self._ready.clear()
        self._came = self._to_merge = self._failure = self._begin = None
        if chunks is not None:
            chunks.close()

    def _next(self):
        while not self._closed:
            if self._ready:
                return self._open()
            if self._failure is not None:
                self._closed = True
                raise self._failure
            self._take()
        raise StopIteration

    def _open(self):
        try:
            result = pickle.loads(self._ready[0])
        except Exception as error:
            self._closed = not is_interruption(error)
            raise
        self._ready.popleft()
        return result

    def _take(self):
        """Merges the next chunk. After an interruption it can be called again."""
        if self._chunks is None:
            self._ancestor = self._sharing.fork()
            self._chunks = self._begin(self._ancestor)
        if self._came is None:
            self._came = next(self._chunks, None)
        if self._came is None:
            self._closed = True
            return
        first, count, packed, changes, failure, of_worker = self._came
        if self._to_merge is None:
            name = describe(self._number, first, first + count)
            self._to_merge = [(data, name) for data in changes]
        try:
            self._ancestor.merge_all(self._to_merge)
        except Exception as error:
            if is_interruption(error):
                raise
            self._failure = error
        else:
            self._ready.extend(packed)
            self._failure = failure and unpack_failure(failure, f"argument {first + len(packed)}", of_worker)
        self._came = self._to_merge = None
        self._number += 1
