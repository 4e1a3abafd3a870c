"""imap and imap_unordered: lazy maps over Threads and Channels. Internal but for these two.

    feed: (chunk, [arguments])  --tasks-->  a worker, the first that is free
    receive: chunk's results    <--results--  the workers, as they finish

A chunk is `out` from when it was handed to the workers until its results are `here`, and then until they are taken; the
number of those is bounded. Each worker notes the argument it works on in shared memory (its claim), which is read only
once it has died. A chunk whose place cannot be told from a claim, because its worker died around the receive, is not
waited for: the death then counts for the earliest chunk that is out. So no wait is without an end.
"""

import itertools
import mmap
import operator
import os
import pickle
import time

from snakefish import _child
from snakefish._snakefish import Channel, ChildDied, Thread, cpu_count

AHEAD = 3  # chunks for each worker: one in its hands, one waiting for it, one waiting to be taken
LOOK_S = 0.1  # a dead worker is noticed after this time without results


def _integer(value, name, least, meaning):
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None
    if value < least:
        raise ValueError(f"{name} must be at least {least}{meaning}, not {value}")
    return value


# ---- in the worker ----


def _pack_raised(error):
    """What f raised, as ("raised", traceback, one line, pickle), or ("broken", sentence, traceback)."""
    error = error.with_traceback(error.__traceback__.tb_next)  # without our own frame
    text, summary = _child.format_exception(error), _child.summarise(error)
    try:
        return "raised", text, summary, pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
    except Exception as reason:
        return "broken", f"it raised {summary}, which cannot be pickled: {reason}", text


def _pack_unsendable(values, first, reason):
    """The results before the one that cannot be sent, and the failure it is."""
    text = _child.format_exception(reason)
    for i, value in enumerate(values):
        try:
            pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        except Exception as its_reason:
            what = f"its result for argument {first + i} ({type(value).__name__}) cannot be pickled: {its_reason}"
            return values[:i], ("broken", what, text)
    return [], ("broken", f"its results from argument {first} on cannot be sent: {reason}", text)


def _work(number, f, chunksize, claim, tasks, results):
    me = os.getpid()
    while (task := tasks.receive_pyobj()) is not None:
        chunk, args = task
        values, failure = [], None
        for index, arg in enumerate(args, chunk * chunksize + 1):
            claim[0] = index
            try:
                values.append(f(arg))
            except Exception as error:
                if os.getpid() != me:
                    raise
                failure = _pack_raised(error)
                break
            if os.getpid() != me:  # f forked and both came back: the results are not this one's to send
                return
        try:
            results.send_pyobj((number, chunk, values, failure), True)
        except Exception as reason:
            results.send_pyobj((number, chunk, *_pack_unsendable(values, chunk * chunksize, reason)), True)
        claim[0] = 0


# ---- in the parent ----


def _died(thread, sentence, exit_status, cause):
    died = ChildDied(f"{thread.name} (pid {thread.pid}): {sentence}")
    died.pid, died.exit_status, died.name = thread.pid, exit_status, thread.name
    died.__cause__ = cause
    return died


def _open_failure(thread, failure):
    """The exception for what a worker said."""
    if failure[0] == "broken":
        _, sentence, text = failure
        return _died(thread, sentence, None, _child.RemoteTraceback(text))
    _, text, summary, pickled = failure
    cause = _child.RemoteTraceback(text)
    try:
        error = pickle.loads(pickled)
        if not isinstance(error, BaseException):
            raise TypeError(f"it came back as {type(error).__name__}")
    except Exception as reason:
        return _died(thread, f"it raised {summary}, which cannot be unpickled here: {reason}", None, cause)
    error.__cause__ = cause
    return error


def _open_death(thread, index):
    """The exception for a worker that has ended before its time; index: the argument it had, None."""
    thread.join()
    where = "" if index is None else f" at argument {index}"
    try:
        thread.get_result()
    except ChildDied as death:
        _, _, fate = str(death).partition("): ")
        return _died(thread, fate + where, death.exit_status, death.__cause__)
    except BaseException as error:  # no Exception: a KeyboardInterrupt of its own, for one
        return error
    return _died(thread, "ended before its time" + where, thread.get_exit_status(), None)


class _Crew:
    """The workers, their channels and the chunks under way."""

    def __init__(self, f, args, concurrency, chunksize):
        self.f, self.concurrency, self.chunksize = f, concurrency or cpu_count(), chunksize
        self.source = args  # None: no more
        self.source_error = None  # what it raised instead of an argument
        self.pending = None  # a task that found no room
        self.chunks = 0  # that were taken from the source
        self.out = set()
        self.here = {}  # chunk -> (values, exception or None)
        self.workers = []  # (Thread, claim); a worker keeps its place
        self.gone = set()  # numbers of those that have died
        self.looked = 0.0  # when that was, on the monotonic clock
        self.tasks, self.results = Channel(), Channel()

    def start_worker(self):
        number = len(self.workers)
        claim = memoryview(mmap.mmap(-1, 8)).cast("Q")
        name = f"imap worker {number + 1} ({getattr(self.f, '__name__', type(self.f).__name__)})"
        thread = Thread(_work, args=(number, self.f, self.chunksize, claim, self.tasks, self.results), name=name)
        thread._kill_at_exit()  # else a program that ends with an iterator half-way would wait for ever
        self.workers.append((thread, claim))
        thread.start()

    def take(self):
        """The next task, None at the end."""
        args = []
        try:
            for arg in itertools.islice(self.source, self.chunksize):
                args.append(arg)
        except Exception as error:
            self.source_error = error
        if len(args) < self.chunksize:
            self.source = None
        if not args:
            return None
        self.chunks += 1
        return self.chunks - 1, args

    def feed(self):
        """Hands out a chunk, if there is one, and room for it. Whether it did."""
        if self.pending is None:
            if self.source is None or len(self.out) + len(self.here) >= AHEAD * self.concurrency:
                return False
            self.pending = self.take()
            if self.pending is None:
                return False
        if len(self.workers) < self.concurrency:
            self.start_worker()
        try:
            self.tasks.send_pyobj(self.pending)
        except Exception as error:
            if isinstance(error, OverflowError) and self.out:
                return False  # later, when there is room
            self.source, self.pending, self.source_error = None, None, error  # it cannot be pickled, or never fits
            return False
        self.out.add(self.pending[0])
        self.pending = None
        return True

    def fail(self, chunk, error):
        self.out.discard(chunk)
        self.here[chunk] = (), error
        self.source = self.pending = None

    def receive(self, block):
        """Takes the results of a chunk, if there are some at most LOOK_S later. Whether it did."""
        try:
            number, chunk, values, failure = self.results.receive_pyobj(block, LOOK_S)
        except Exception as error:
            if error.__traceback__.tb_next is None and isinstance(error, (IndexError, TimeoutError, EOFError)):
                return False  # the Channel's own word
            self.fail(min(self.out, default=self.chunks), error)  # a result that cannot be unpickled
            return True
        if chunk in self.out:  # else it has failed already
            self.out.remove(chunk)
            self.here[chunk] = values, failure and _open_failure(self.workers[number][0], failure)
            if failure:
                self.source = self.pending = None
        return True

    def look(self):
        """Now and then looks for workers that have died, also while others send results."""
        now = time.monotonic()
        if now - self.looked > LOOK_S:
            self.looked = now
            self.bury()

    def bury(self):
        """Looks for workers that have died, and takes what they had sent before."""
        dead = [n for n, (thread, _) in enumerate(self.workers) if n not in self.gone and not thread.is_alive()]
        while dead and self.receive(False):
            pass
        for number in dead:
            self.gone.add(number)
            thread, claim = self.workers[number]
            chunk = (claim[0] - 1) // self.chunksize if claim[0] else None
            if chunk in self.out:
                self.fail(chunk, _open_death(thread, claim[0] - 1))
            else:
                self.fail(min(self.out, default=self.chunks), _open_death(thread, None))

    def go_on(self):
        """One step towards more results: hands out a chunk, or waits. False when there is nothing to wait for."""
        fed = self.feed()
        if not fed and not self.out:
            return bool(self.here)
        self.receive(not fed)
        self.look()
        return True

    def dismiss(self):
        """Lets the workers end by themselves, once everything is done."""
        for _ in self.workers:
            self.tasks.send_pyobj(None)
        for thread, _ in self.workers:
            thread.join()

    def end(self):
        for thread, _ in self.workers:
            thread._end()
        self.tasks.dispose()
        self.results.dispose()


def _run(f, args, concurrency, chunksize, ordered):
    crew = _Crew(f, args, concurrency, chunksize)
    try:
        for following in itertools.count():
            while (following not in crew.here) if ordered else not crew.here:
                if not crew.go_on():
                    crew.dismiss()
                    if crew.source_error is not None:
                        raise crew.source_error
                    return
            values, error = crew.here.pop(following if ordered else next(iter(crew.here)))
            crew.look()
            crew.feed()  # now, so that the workers have something to do while the caller works on these
            yield from values
            if error is not None:
                raise error
    finally:
        crew.end()


class _Results:
    """The iterator that imap and imap_unordered return."""

    def __init__(self, results):
        self._results = results
        self._pid = None

    def __iter__(self):
        return self

    def __next__(self):
        if self._pid != os.getpid():
            if self._pid is not None:
                raise RuntimeError(f"its workers were started by process {self._pid}: only that process can iterate")
            self._pid = os.getpid()
        return next(self._results)

    def close(self):
        """Ends and reaps the workers; results that were not taken are lost. Calling it again does nothing."""
        self._results.close()

    def __enter__(self):
        return self

    def __exit__(self, type, value, traceback):
        self.close()


def _start(f, args, concurrency, chunksize, ordered):
    if not callable(f):
        raise TypeError(f"f must be callable, not {type(f).__name__}")
    concurrency = _integer(concurrency, "concurrency", 0, " (0: one for each CPU)")
    chunksize = _integer(chunksize, "chunksize", 1, "")
    try:
        args = iter(args)
    except TypeError:
        if hasattr(type(args), "__iter__"):
            raise
        raise TypeError(f"args must be an iterable, not {type(args).__name__}") from None
    return _Results(_run(f, args, concurrency, chunksize, ordered))


def imap(f, args, concurrency=0, chunksize=1):
    """f(x) for x in args, in forked processes: an iterator over the results, in the order of args.

    args: any iterable, also an endless one. It is iterated here, as results are taken: at most 3 chunks for each worker
    ahead of the chunk whose results are being handed out. Arguments and results are pickled; f is not, it may be a lambda
    or a closure. concurrency: how many workers, 0: cpu_count(); they are forked as the first chunks are handed out, from
    the first next() on, and see everything as it is then. chunksize: arguments that travel together.

    next() blocks until the next result is here. It raises what f raised, in the place of that result, with the worker's
    traceback as __cause__; what args raises, after the results before it; ChildDied when a worker was killed or a result
    cannot be pickled, which names the argument by its number, from 0 (the other results of its chunk are lost when it was
    killed). After any exception, and at the end, the workers are ended and reaped and it is exhausted; so it is by
    close(), at the end of a with block, and when nobody refers to it any more.
    """
    return _start(f, args, concurrency, chunksize, True)


def imap_unordered(f, args, concurrency=0, chunksize=1):
    """f(x) for x in args, in forked processes: an iterator over the results, in the order in which they come.

    Otherwise like imap(); an exception comes as it comes too, and results that were not taken before it are lost.
    """
    return _start(f, args, concurrency, chunksize, False)
