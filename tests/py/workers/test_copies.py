"""Code of the program that the library calls may call os.fork, and come back in both processes. A copy of the parent gets no
results and forks no workers; a copy of a worker takes nothing and sends nothing. The others never notice it."""
import pytest
from conftest import PYPY

# In a worker: forks once, in both processes once only.
FORKS_IN_WORKER = """
import os, signal, sys, weakref, gc, snakefish
from snakefish import map, imap, imap_unordered
parent, forked = os.getpid(), []
def fork_here():
    if os.getpid() != parent and not forked:
        forked.append(None)
        forked[0] = os.fork()
"""

CALLS = {
    "map": "print(len(map(f, range(8), 2, 1)))",
    "map in blocks": "print(len(map(f, range(8), 2, 4)))",
    "merge": "print(len(map(f, range(8), lambda g: Result(), lambda g, x: None, 2, 2)))",
    "imap": "print(len(list(imap(f, range(8), 2))))",
    "imap in chunks": "print(len(list(imap(f, range(8), 2, 3))))",
    "imap_unordered": "print(len(list(imap_unordered(f, range(8), 2))))",
}
IN_WORKER = {
    "a destructor of a result": """
class Result:
    def __del__(self):
        fork_here()
def f(n):
    return Result()
""",
    "a weakref callback of a result": """
class Result:
    pass
kept = []
def f(n):
    result = Result()
    kept.append(weakref.ref(result, lambda _: fork_here()))
    return result
""",
    "pickling a result": """
class Result:
    def __reduce__(self):
        fork_here()
        return Result, ()
def f(n):
    return Result()
""",
    "pickling what f raises": """
class Result:
    pass
class Bad(Exception):
    def __reduce__(self):
        fork_here()
        return Bad, ()
def f(n):
    if n == 5:
        raise Bad
    return Result()
""",
    "a collection": """
class Result:
    pass
class Cycle:
    def __init__(self):
        self.me = self
    def __del__(self):
        fork_here()
gc.set_threshold(1)
def f(n):
    Cycle()
    return [[], [n]]
""",
    "a hook of the fork": """
class Result:
    pass
os.register_at_fork(after_in_child=fork_here)
def f(n):
    return Result()
""",
    "f": """
class Result:
    pass
def f(n):
    fork_here()
    return Result()
""",
}


@pytest.mark.diagonal
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("where", IN_WORKER)
def test_a_copy_of_a_worker_neither_takes_nor_sends(where, call, run_program):
    for _ in range(3):
        ended = run_program(FORKS_IN_WORKER + IN_WORKER[where] + "try:\n    " + CALLS[call] +
                            "\nexcept Exception as error:\n    print(type(error).__name__)\n")
        assert ended.stdout == ("Bad\n" if "raises" in where else "8\n"), ended.stderr
        assert ended.status == 0


@pytest.mark.parametrize("ordered", [True, False])
def test_a_copy_of_an_idle_worker_made_by_a_signal_handler_takes_nothing(ordered, check_program):
    said = check_program("""
        import os, signal, time, snakefish
        def fork(*_):
            os.fork()
        signal.signal(signal.SIGUSR1, fork)
        def source():
            yield 1
            time.sleep(0.3)
            yield from range(2, 9)
        results = (snakefish.imap if %r else snakefish.imap_unordered)(lambda n: (os.getpid(), n), source(), 1)
        worker, first = next(results)
        os.kill(worker, signal.SIGUSR1)
        rest = list(results)
        print({pid for pid, _ in rest} == {worker}, first, [n for _, n in rest])
        """ % ordered)
    assert said == f"True 1 {list(range(2, 9))}\n"


@pytest.mark.parametrize("call", ["map(f, range(2), 1, 1)", "list(imap(f, range(2), 1))"])
def test_a_copy_of_a_worker_that_waits_for_room_sends_nothing(call, check_program):
    """The parent takes nothing for a while, so that the worker stands in the middle of a message."""
    said = check_program(f"""
        import os, signal, time
        from snakefish import map, imap
        def fork(*_):
            os.fork()
        signal.signal(signal.SIGUSR1, fork)
        class Slow:
            def __reduce__(self):
                return slow, ()
        def slow():
            time.sleep(0.3)
            os.kill(worker(), signal.SIGUSR1)
            time.sleep(0.3)
        def worker():
            with open(f"/proc/self/task/{{os.getpid()}}/children") as file:
                return int(file.read().split()[0])
        def f(n):
            return Slow() if n == 0 else bytes([n]) * (16 << 20)
        got = {call}
        print(got[0], got[1] == b"\\1" * (16 << 20))
        """)
    assert said == "None True\n"


BEFORE_WORKERS = {
    "flush": """
class Out:
    def write(self, text):
        return len(text)
    def flush(self):
        fork_once()
sys.stdout = Out()
""",
    "a hook before a fork": "os.register_at_fork(before=fork_once)\n",
    "a hook after a fork": "os.register_at_fork(after_in_parent=fork_once)\n",
    "a warning": """
import threading
threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
warnings.simplefilter("always")
warnings.showwarning = lambda *_, **__: fork_once()
""",
    "a signal handler": """
signal.signal(signal.SIGALRM, lambda *_: fork_once())
signal.setitimer(signal.ITIMER_REAL, 0.03)
""",
}
PARENTS = {
    "map": "map(slow, range(6), 2, 1)",
    "merge": "map(slow, range(6), lambda g: 1, lambda g, x: None, 2, 1)",
    "rounds": "map(slow, range(6), lambda g: 1, lambda g, x: None, 2, 1, rounds=True)",
    "imap": "list(imap(slow, range(6), 2))",
    "imap of a source": "list(imap(slow, iter([0, 1, 2, 3, 4, 5]), 2))",
    "imap_unordered": "sorted(imap_unordered(slow, range(6), 2))",
}


@pytest.mark.diagonal
@pytest.mark.skipif(PYPY, reason="its os.fork calls the hooks itself")
@pytest.mark.parametrize("call", PARENTS)
@pytest.mark.parametrize("where", BEFORE_WORKERS)
def test_a_copy_of_the_parent_forks_no_workers_and_takes_no_results(where, call, run_program):
    ended = run_program("""
import os, signal, sys, time, warnings
from snakefish import map, imap, imap_unordered
real, copies, inside = sys.stdout, [], []
def fork_once():
    if not copies:
        copies.append(None)
        copies[0] = os.fork()
def slow(n):
    time.sleep(0.02)
    return n
""" + BEFORE_WORKERS[where] + f"""
try:
    got = {PARENTS[call]}
except RuntimeError as error:
    got = error
if copies == [0]:
    os._exit(0 if isinstance(got, RuntimeError) else 7)
print(got, "copy:", os.waitpid(copies[0], 0)[1], file=real)
""")
    assert ended.stdout == "[0, 1, 2, 3, 4, 5] copy: 0\n", ended.stderr


@pytest.mark.parametrize("last", [1, 6])
def test_a_copy_made_in_progress_gets_no_results(last, check_program):
    said = check_program("""
        import os, sys, time, snakefish
        copies = []
        def progress(done, total):
            if done == %d:
                copies.append(os.fork())
                if not copies[0]:
                    raise KeyError("what the copy raises")
        try:
            got = snakefish.map(lambda n: time.sleep(0.01) or n, range(6), 2, 1, progress=progress)
        except (KeyError, RuntimeError):
            os._exit(0 if copies == [0] else 7)
        print(got, os.waitpid(copies[0], 0)[1])
        """ % last)
    assert said == "[0, 1, 2, 3, 4, 5] 0\n"


def test_a_copy_made_in_merge_goes_no_further(check_program):
    said = check_program("""
        import os, snakefish
        copies = []
        def merge(g, extracted):
            if not copies:
                copies.append(os.fork())
            merged.append(extracted)
        merged = []
        try:
            got = snakefish.map(abs, range(4), lambda g: 1, merge, 1, 1, rounds=True)
        except RuntimeError as error:
            os._exit(0 if copies == [0] and len(merged) == 1 else 7)
        print(got, merged, os.waitpid(copies[0], 0)[1])
        """)
    assert said == "[0, 1, 2, 3] [1, 1, 1, 1] 0\n"


# ---- close() in another process than the iterator's ----

CLOSES = {
    "a hook of the fork": "os.register_at_fork(after_in_child=lambda: results.close())",
    "a hook and __del__ by name": "os.register_at_fork(after_in_child=lambda: results.__del__())",
    "a hook and the end of with": "os.register_at_fork(after_in_child=lambda: results.__exit__(None, None, None))",
    "a profile function": "sys.setprofile(lambda *_: results.close() if os.getpid() != parent else None)",
    "f": "f = lambda n: results.close() or abs(n)",
    "a destructor": """
class Closes:
    def __reduce__(self):
        return abs, (-5,)
    def __del__(self):
        if os.getpid() != parent:
            results.close()
f = lambda n: (Closes(), abs(n))[1]
""",
}


@pytest.mark.diagonal
@pytest.mark.parametrize("kind", ["imap", "imap_unordered"])
@pytest.mark.parametrize("where", [where for where in CLOSES if not (PYPY and "__del__" in where)])
def test_close_in_a_worker_does_nothing_to_it(where, kind, check_program):
    said = check_program(f"""
import os, sys, snakefish
parent, f = os.getpid(), abs
{CLOSES[where]}
results = snakefish.{kind}(lambda n: f(n), iter([-1, -2, -3, -4]), 2)
got = sorted(results)
sys.setprofile(None)
print(got)
""")
    assert said == "[1, 2, 3, 4]\n"


def test_close_in_a_copy_of_the_parent_below_its_next_ends_the_copy_of_the_iterator_only(check_program):
    said = check_program("""
        import os, snakefish
        copies = []
        class Result:
            def __reduce__(self):
                return opened, ()
        def opened():
            if not copies:
                copies.append(os.fork())
                if not copies[0]:
                    results.close()
                    results.__del__() if hasattr(results, "__del__") else None
            return 5
        results = snakefish.imap(lambda n: Result(), range(40), 2, 4)
        try:
            got = list(results)
        except RuntimeError:
            os._exit(0 if list(results) == [] else 7)
        if copies == [0]:
            os._exit(0)
        print(got == [5] * 40, os.waitpid(copies[0], 0)[1])
        """)
    assert said == "True 0\n"


def test_a_thread_started_in_a_copy_that_its_own_flush_has_made_is_refused_there(check_program):
    """The same rule for all children: the process that called start() forks, and it alone."""
    said = check_program("""
        import os, sys, snakefish
        copies, real = [], sys.stdout
        class Out:
            def write(self, text):
                return len(text)
            def flush(self):
                if not copies:
                    copies.append(None)
                    copies[0] = os.fork()
        sys.stdout = Out()
        thread = snakefish.Thread(lambda: 5)
        try:
            thread.start()
        except RuntimeError as error:
            os._exit(0 if copies == [0] and "starts this child" in str(error) else 7)
        thread.join()
        print(thread.get_result(), os.waitpid(copies[0], 0)[1], file=real)
        """)
    assert said == "5 0\n"
