"""The arguments of a lazy map on an executor, cut into chunks. Internal.

As in ext/py/workers/source.h: an iterable that cannot block is asked in place. Any other one is asked by a Python thread of
its own, so that results can be handed out while it blocks. The thread asks for no more than is wanted. It ends when the
iterable is at its end, or when the source is closed and the iterator returns.
"""

import threading
from collections import deque

CANNOT_BLOCK = frozenset({list, tuple, range, dict, set, frozenset, str, bytes, bytearray})


def iter_of(iterable):
    try:
        return iter(iterable)
    except TypeError:
        raise TypeError(f"args must be an iterable, not {type(iterable).__name__}") from None


class Source:
    """nudge: called in the thread after each change."""

    def __init__(self, iterable, iterator, chunksize, nudge):
        self._iterator, self._chunksize, self._nudge = iterator, chunksize, nudge
        self._ready = deque()
        self._wanted = threading.Semaphore(0)  # one for each chunk that the thread may ask for
        self._asked = 0  # chunks that were asked for and not taken
        self._has_thread = type(iterable) in CANNOT_BLOCK
        self._in_place = self._has_thread
        self.error = None  # what the iterator raised instead of an argument
        self.at_end = False

    def take(self):
        """The next chunk, a list that is not empty; None: there is none now, or never again (is_finished)."""
        if self._in_place and not self.at_end and not self._ready:
            self._ask()
        if self._ready:
            self._asked -= 1
            return self._ready.popleft()
        return None

    def is_finished(self):
        return self.at_end and not self._ready

    def want(self, chunks):
        """Lets the thread have so many chunks ready, those included that are."""
        if self._in_place or self.at_end:
            return
        while self._asked < chunks:
            self._asked += 1
            self._wanted.release()
        if not self._has_thread:
            self._has_thread = True
            threading.Thread(target=_ask_as_wanted, args=(self,), name="sf-imap-source", daemon=True).start()

    def close(self):
        self.at_end = True
        self._iterator = None
        self._ready.clear()
        self._wanted.release()

    def _ask(self):
        chunk, iterator = [], self._iterator
        try:
            while len(chunk) < self._chunksize and not self.at_end:
                chunk.append(next(iterator))
        except StopIteration:
            self.at_end, self._iterator = True, None
        except BaseException as error:
            self.error, self._iterator, self.at_end = error, None, True
        if chunk:
            self._ready.append(chunk)


def _ask_as_wanted(source):
    while True:
        source._wanted.acquire()
        if source.at_end:
            return
        source._ask()
        source._nudge()
