"""The iterators over results that imap returns where it is written in Python. Internal."""

import threading


class Results:
    """One next() at a time, and close() at any time. A derived class has
    _refuse()      raises where this process cannot use it
    _next()        the next result, or raises; sets _closed when there is no other. It looks at _closed after each wait
    _call_back()   what makes a _next() of another thread look
    _end()         drops what is left; may be called several times
    """

    def __init__(self):
        self._lock = threading.Lock()  # held by next()
        self._closed = False

    def __iter__(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __next__(self):
        self._refuse()
        if not self._lock.acquire(False):
            raise RuntimeError("next() of this imap is under way elsewhere: one at a time")
        try:
            return self._next()
        finally:
            if self._closed:
                self._end()
            self._lock.release()

    def close(self):
        """Ends it; results that were not taken are lost. While a next() runs, that one does it when it comes back."""
        self._closed = True
        if self._lock.acquire(False):
            try:
                self._end()
            finally:
                self._lock.release()
        else:
            self._call_back()

    def _refuse(self):
        pass
