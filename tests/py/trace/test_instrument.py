"""trace.instrument and uninstrument: on and off, and what they refuse."""
import pytest
from databases import Database
from instrumented import QUIET, channels, needs_collector, traced, unnumbered  # noqa: F401

pytestmark = needs_collector


LOOK_AT_ALL = """
import importlib, sys
import multiprocessing.pool, multiprocessing.popen_forkserver, multiprocessing.popen_spawn_posix, socket, subprocess, selectors
import concurrent.futures.process, concurrent.futures.thread
try:
    import joblib.externals.loky.backend.popen_loky_posix
except ImportError:
    pass
from snakefish import trace
OURS = ("multiprocessing", "concurrent", "joblib", "loky", "os", "socket", "subprocess", "_posixsubprocess", "threading",
        "selectors")
def look():
    found = {("sys", "meta_path"): tuple(sys.meta_path)}
    for name, module in sorted(sys.modules.items()):
        if name.split(".")[0] in OURS:
            for key, value in list(vars(module).items()):
                found[name, key] = value
                if isinstance(value, type):
                    found.update({(name, key, inner): v for inner, v in list(vars(value).items())})
    return found
def same(one, other):
    return one.keys() == other.keys() and all(one[k] is other[k] for k in one if k != ("sys", "meta_path")) and (
        one["sys", "meta_path"] == other["sys", "meta_path"])
"""


@pytest.mark.parametrize("library, least", [("multiprocessing", 25), ("concurrent.futures", 30), ("joblib", 30), ("all", 35)])
def test_uninstrument_puts_back_every_attribute(check_program, library, least):
    assert check_program(LOOK_AT_ALL + f"""
trace.instrument({library!r}), trace.uninstrument({library!r})  # imports what it imports before the comparison
before = look()
for _ in range(3):
    trace.instrument({library!r})
    trace.instrument({library!r})
    during = look()
    trace.uninstrument({library!r})
    trace.uninstrument({library!r})
print(same(before, look()), sum(before[k] is not during[k] for k in before) > {least})
""") == "True True\n"


def test_what_another_library_needs_stays_until_that_is_uninstrumented_too(check_program):
    assert check_program(LOOK_AT_ALL + """
import os
trace.instrument("all"), trace.uninstrument("all")
def told():
    return os.environ.get("SNAKEFISH_TRACE_INSTRUMENT")
before = look()
trace.instrument("multiprocessing")
alone = look()
trace.instrument("concurrent.futures")
print(told(), same(alone, look()))
trace.uninstrument("concurrent.futures")
print(told(), same(alone, look()))
trace.instrument("concurrent.futures")
trace.uninstrument("multiprocessing")
print(told(), same(alone, look()), same(before, look()))
trace.uninstrument("all")
print(told(), same(before, look()))
""") == ("multiprocessing,concurrent.futures False\nmultiprocessing True\nconcurrent.futures False False\nNone True\n")


def test_a_library_is_instrumented_when_the_program_imports_it_and_not_before(check_program):
    assert check_program("""
        import sys
        before = list(sys.meta_path)
        from snakefish import trace
        trace.instrument("all")
        print([name for name in ("multiprocessing", "concurrent.futures", "joblib", "loky") if name in sys.modules])
        import importlib.util, concurrent.futures
        importlib.util.find_spec("concurrent.futures.thread")  # asks, and does not import
        from concurrent.futures import thread
        print("multiprocessing" in sys.modules, hasattr(thread._WorkItem.run, "__wrapped__"))
        from concurrent.futures import process
        import multiprocessing
        print(hasattr(process._process_worker, "__wrapped__"), hasattr(multiprocessing.Process.start, "__wrapped__"))
        trace.uninstrument("all")
        print(hasattr(thread._WorkItem.run, "__wrapped__"), sys.meta_path == before)
        """) == "[]\nFalse True\nTrue True\nFalse True\n"


def test_nothing_of_multiprocessing_is_touched_or_imported_until_asked(check_program):
    assert check_program("""
        import sys, snakefish
        print(any(name.startswith("multiprocessing") for name in sys.modules))
        """) == "False\n"


def test_what_was_made_while_it_was_on_works_on_when_it_is_off(check_program, tmp_path):
    assert check_program(QUIET + """
import multiprocessing, sys
from snakefish import trace
trace.instrument("multiprocessing")
queue, (ours, theirs), pool = multiprocessing.Queue(), multiprocessing.Pipe(), multiprocessing.Pool(1)
trace.uninstrument("multiprocessing")
with trace.session(sys.argv[1]):
    queue.put(1)
    theirs.send(2)
    print(queue.get(), ours.recv(), pool.apply(abs, (-3,)))
pool.close()
pool.join()
""", tmp_path / "run.db") == "1 2 3\n"
    with Database(tmp_path / "run.db") as db:
        main = db.one("SELECT id FROM process WHERE parent IS NULL")
        assert db.one("SELECT count(*) FROM message") == 0
        assert db.one("SELECT count(*) FROM event WHERE process = ? AND kind BETWEEN 14 AND 16", main) == 0


def test_a_wrapper_that_somebody_kept_writes_no_event_once_it_is_off(check_program, tmp_path):
    assert check_program(QUIET + """
import multiprocessing, multiprocessing.pool, sys
from multiprocessing.process import BaseProcess
from snakefish import trace
trace.instrument("multiprocessing")
kept = [(c, name, vars(c)[name]) for c, name in ((BaseProcess, "start"), (BaseProcess, "_bootstrap"), (BaseProcess, "join"),
                                                 (multiprocessing.pool.Pool, "map"), (multiprocessing.pool, "worker"))]
trace.uninstrument("multiprocessing")
for owner, name, wrapper in kept:
    setattr(owner, name, wrapper)
with trace.session(sys.argv[1]):
    process = multiprocessing.Process(target=print, args=("child",))
    process.start()
    process.join()
    with multiprocessing.Pool(1) as pool:
        print(pool.map(abs, [-1]))
        pool.close()
        pool.join()
""", tmp_path / "run.db") == "child\n[1]\n"
    with Database(tmp_path / "run.db") as db:
        assert db.one("SELECT count(*) FROM process") == 3
        assert db.rows("SELECT DISTINCT k.name FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name <> 'usage'"
                       ) == [("start",)]


ON_TOP = """
import multiprocessing.pool, multiprocessing.popen_fork
from multiprocessing import connection, pool, popen_fork, process
from multiprocessing.reduction import ForkingPickler
from snakefish import trace
base = connection.Connection.__mro__[1]
called = set()
for owner, names in ((base, "send recv"), (connection.Connection, "_send_bytes _recv_bytes"), (popen_fork.Popen, "_launch poll"),
                     (process.BaseProcess, "start join _bootstrap"), (pool.Pool, "map _map_async"), (pool, "worker")):
    for name in names.split():
        def theirs(*args, before=vars(owner)[name], name=name, **kwargs):
            called.add(name)
            return before(*args, **kwargs)
        setattr(owner, name, theirs)
def dumps(cls, *args, before=ForkingPickler.dumps):
    called.add("dumps")
    return before(*args)
ForkingPickler.dumps = classmethod(dumps)
trace.uninstrument("multiprocessing")
trace.instrument("multiprocessing")
"""
WORK = """
import multiprocessing
reader, writer = multiprocessing.Pipe(False)
process = multiprocessing.Process(target=writer.send, args=("x",), name="sender")
process.start()
reader.recv()
process.join()
with multiprocessing.Pool(1) as workers:
    workers.map(abs, range(6), 2)
    workers.close()
    workers.join()
"""


def test_what_somebody_wrapped_meanwhile_is_recorded_once_when_it_is_on_again(traced):
    def events(source):
        out, db = traced(source)
        # not the Pool's messages, because the number of those that end it varies
        return out, db.rows("SELECT k.name, e.phase, count(*) FROM event e JOIN event_kind k ON k.id = e.kind "
                            "JOIN process p ON p.id = e.process WHERE k.name NOT IN ('wait', 'channel', 'text') AND CASE "
                            "k.name WHEN 'pickled' THEN p.name = 'sender' WHEN 'send' THEN e.object = ?1 "
                            "WHEN 'write' THEN e.object = ?1 WHEN 'receive' THEN e.object = ?1 ELSE 1 END "
                            "GROUP BY 1, 2 ORDER BY 1, 2", channels(db)[0]), unnumbered(db)

    out, wrapped, without_number = events(ON_TOP + WORK + "print('send' in called, 'dumps' in called, 'start' in called)")
    assert out == "True True True\n"
    assert (wrapped, without_number) == events(WORK)[1:] and without_number == 0


def test_wrong_libraries_are_refused(check_program, run_program):
    assert check_program("""
        from snakefish import trace
        for call in (trace.instrument, trace.uninstrument):
            for library in ("dask", 5):
                try:
                    call(library)
                except (ValueError, TypeError) as error:
                    print(type(error).__name__, error)
        """) == 2 * ("ValueError library must be one of multiprocessing, concurrent.futures, loky, joblib, all, not 'dask'\n"
                     "TypeError library must be a str, not int\n")
    ended = run_program("import snakefish; print('goes on')", env={"SNAKEFISH_TRACE_INSTRUMENT": "dask"})
    assert ended.status == 0 and ended.stdout == "goes on\n" and "SNAKEFISH_TRACE_INSTRUMENT" in ended.stderr


def test_wrong_calls_raise_what_they_raise_without(check_program):
    assert check_program("""
        from multiprocessing import Pipe, Pool, Process, Queue, SimpleQueue, connection, reduction
        from snakefish import trace
        class Unmade(Process):
            def __init__(self):
                pass
        class Refused(Process):
            def _Popen(self):
                raise OSError("no", "number")
        a, b = Pipe()
        q, p, pool = Queue(), Process(), Pool(1)
        calls = [lambda: q.put(), lambda: q.put(1, 2, 3, 4), lambda: q.get(zz=1), lambda: SimpleQueue().get(1),
                 lambda: connection.Pipe(1, 2), lambda: connection.wait(), lambda: type(a).recv_bytes(), lambda: type(a).send(),
                 lambda: a.recv_bytes_into(), lambda: a.recv(1), lambda: a.send_bytes("text"), lambda: p.start(1),
                 lambda: p.join(zz=1), lambda: Unmade().start(), lambda: Unmade().join(),
                 lambda: reduction.ForkingPickler.loads(),
                 lambda: (b.send_bytes(b"x"), type(a).recv_bytes(self=a)), lambda: Refused().start(),
                 lambda: pool.map(abs, [1, 2], 2.0)]
        def outcomes():
            found = []
            for call in calls:
                try:
                    found.append(call())
                except Exception as error:
                    found.append((type(error), str(error), type(error.__context__)))
            return found
        without = outcomes()
        trace.instrument("multiprocessing")
        print([pair for pair in zip(without, outcomes()) if pair[0] != pair[1]])
        pool.terminate()
        """) == "[]\n"


def test_a_version_without_what_is_wrapped_is_refused_and_left_as_it_was(check_program):
    assert check_program("""
        from multiprocessing import connection, pool
        from snakefish import trace
        del pool.Pool._map_async
        send = vars(connection.Connection.__mro__[1])["send"]
        try:
            trace.instrument("multiprocessing")
        except RuntimeError as error:
            print(error)
        print(send is vars(connection.Connection.__mro__[1])["send"])
        """) == "this version of multiprocessing cannot be instrumented: Pool has no _map_async\nTrue\n"
