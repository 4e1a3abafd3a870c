"""trace.instrument and uninstrument: on and off, and what they refuse."""
from databases import Database
from instrumented import QUIET, channels, needs_collector, traced, unnumbered  # noqa: F401

pytestmark = needs_collector


def test_uninstrument_puts_back_every_attribute(check_program):
    assert check_program("""
        import multiprocessing, multiprocessing.pool, multiprocessing.popen_forkserver, multiprocessing.popen_spawn_posix, sys
        import socket, subprocess
        from snakefish import trace
        def look():
            found = {}
            for name, module in sorted(sys.modules.items()):
                if name.startswith("multiprocessing") or name in ("os", "socket", "subprocess", "_posixsubprocess"):
                    for key, value in list(vars(module).items()):
                        found[name, key] = value
                        if isinstance(value, type):
                            found.update({(name, key, inner): v for inner, v in list(vars(value).items())})
            return found
        import snakefish._instrument
        snakefish._instrument._multiprocessing()  # imports what it imports before the comparison
        before = look()
        for _ in range(3):
            trace.instrument("multiprocessing")
            trace.instrument("multiprocessing")
            during = look()
            trace.uninstrument("multiprocessing")
            trace.uninstrument("multiprocessing")
        after = look()
        print(before.keys() == after.keys(), all(before[k] is after[k] for k in before),
              sum(before[k] is not during[k] for k in before) > 25)
        """) == "True True True\n"


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
            for library in ("joblib", 5):
                try:
                    call(library)
                except (ValueError, TypeError) as error:
                    print(type(error).__name__, error)
        """) == 2 * ("ValueError library must be one of multiprocessing, not 'joblib'\n"
                     "TypeError library must be a str, not int\n")
    ended = run_program("import snakefish; print('goes on')", env={"SNAKEFISH_TRACE_INSTRUMENT": "joblib"})
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
