"""wait(): waits until the first of several Threads and Generators has ended. The other names are internal."""

import math
import os
import time

from snakefish._snakefish import _WAIT_CHILD, Generator, Thread, _instrument_wait, _sweep

_LONGEST_S = 3600  # of one call of poll, which takes milliseconds as a C int
_SHORTEST_S, _LONGEST_PAUSE_S = 0.001, 0.005  # between two looks at those that have no pidfd; each is twice the last


def _deadline(timeout):
    if timeout is None:
        return math.inf
    if not hasattr(type(timeout), "__float__") and not hasattr(type(timeout), "__index__"):
        raise TypeError(f"timeout must be a number of seconds or None, not {type(timeout).__name__}")
    try:
        seconds = float(timeout)
    except OverflowError:
        raise ValueError("timeout is out of range: None is for ever") from None
    if not seconds >= 0:
        raise ValueError(f"timeout must be at least 0 seconds, not {timeout!r}")
    return time.monotonic() + seconds


def _is_joined(thread):
    try:
        thread.get_exit_status()
    except RuntimeError:
        return False
    return True


def _descriptor(thread):
    """A copy of the pidfd, because another Python thread may join the Thread, which closes it. None: there is none,
    because the child has been reaped or the system gives no pidfd."""
    if not isinstance(thread, (Thread, Generator)):
        raise TypeError(f"threads must be an iterable of Threads and Generators, not of {type(thread).__name__}")
    if _is_joined(thread):
        raise RuntimeError(f"{thread.name} is joined already: wait for those that are not")
    try:
        return os.dup(thread.fileno())
    except (RuntimeError, OSError):
        if thread.pid is None:
            raise
        thread.__enter__()  # raises for one that is disposed, or not ours
        return None


def _sleep(poll, seconds):
    """The descriptors of those that have ended meanwhile."""
    return {descriptor for descriptor, _ in poll.poll(math.ceil(seconds * 1000))}


def wait(threads, timeout=None):
    """Blocks until at least one of the Threads and Generators has ended. A list of those that have, in the order given.

    threads: an iterable of Threads and Generators that are started and not joined; wait() does not join them. timeout:
    seconds, None for ever; the list is empty when they pass. A Generator ends when its function has ended, or after
    join() or terminate(). ValueError for no threads without a timeout, because that would never end; RuntimeError for a
    thread that was not started, is joined or disposed, or that another process has started. Signal handlers run during
    the wait; what they raise comes through.
    """
    import select  # an extension module, and few programs wait

    if isinstance(threads, (Thread, Generator)):
        raise TypeError(f"threads must be an iterable of Threads and Generators, not a {type(threads).__name__}")
    threads = list(threads)
    _sweep()
    deadline = _deadline(timeout)
    if not threads and timeout is None:
        raise ValueError("threads is empty, and timeout None: there is nothing to wait for")
    descriptors = []
    try:
        for thread in threads:
            descriptors.append(_descriptor(thread))
        poll = select.poll()
        for descriptor in descriptors:
            if descriptor is not None:
                poll.register(descriptor, select.POLLIN)
        ended, pause = _sleep(poll, 0), _SHORTEST_S
        while True:
            found = [
                thread
                for thread, descriptor in zip(threads, descriptors)
                if (not thread.is_alive() if descriptor is None else descriptor in ended)
            ]
            left = deadline - time.monotonic()
            if found or left <= 0:
                return found
            seconds = min(left, pause if None in descriptors else _LONGEST_S)
            ended = _instrument_wait(_sleep, _WAIT_CHILD, None, poll, seconds)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
    finally:
        for descriptor in descriptors:
            if descriptor is not None:
                os.close(descriptor)
