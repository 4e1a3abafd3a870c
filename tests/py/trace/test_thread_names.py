"""Threads in the trace: each has a lane of its own, and its Python name."""
import pytest
from conftest import settles
from databases import TRACER, Database

pytestmark = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")


def is_running(path):
    with Database(path) as db:
        return db.state() == "running"


def threads(path, process=1):
    with Database(path) as db:
        assert db.losses() == []
        assert db.one("SELECT count(*) FROM thread WHERE start_ns IS NULL OR tid IS NULL") == 0
        return db.rows("SELECT lane, name FROM thread WHERE process = ? ORDER BY first_seq", process)


def test_a_thread_is_called_by_its_name_that_of_executors_and_asyncio_too(check_program, tmp_path):
    check_program("""
        import asyncio, concurrent.futures, sys, threading
        from snakefish import trace
        def work():
            trace.mark("work")
        async def main():
            await asyncio.get_running_loop().run_in_executor(None, work)
        with trace.session(sys.argv[1]):
            t = threading.Thread(target=work, name="painter ü")
            t.start()
            t.join()
            with concurrent.futures.ThreadPoolExecutor(1, "pool") as pool:
                pool.submit(work).result()
                asyncio.run(main())
        """, tmp_path / "run.db")
    found = threads(tmp_path / "run.db")
    assert found[0] == (0, "MainThread") and sorted(name for _, name in found[1:]) == ["asyncio_0", "painter ü", "pool_0"]


def test_a_new_name_is_told_whoever_gives_it(check_program, tmp_path):
    check_program("""
        import sys, threading
        from snakefish import trace
        go, done = threading.Event(), threading.Event()
        def itself():
            trace.mark("1")
            threading.current_thread().name = "of itself"
        def by_another():
            trace.mark("2")
            done.set()
            go.wait()
        def before():
            threading.current_thread().name = "before its first event"
            trace.mark("3")
        with trace.session(sys.argv[1]):
            for f in itself, before:
                t = threading.Thread(target=f)
                t.start()
                t.join()
            t.name = "when it has ended"
            t = threading.Thread(target=by_another, name="first")
            t.name = "before its start"
            t.start()
            done.wait()
            t.name = "by another"
            go.set()
            t.join()
            threading.main_thread().name = "main"
        assert type(threading.Thread.name) is property and threading.main_thread().name == "main"
        threading.main_thread().name = "later"
        """, tmp_path / "run.db")
    assert sorted(name for _, name in threads(tmp_path / "run.db")) == [
        "before its first event", "by another", "main", "of itself"]
    with Database(tmp_path / "run.db") as db:
        assert db.rows("SELECT t.text FROM event e JOIN event_kind k ON k.id = e.kind JOIN text t ON t.id = e.object "
                       "WHERE k.name = 'thread' AND t.text IN ('before its start', 'by another') "
                       "ORDER BY seq") == [("before its start",), ("by another",)]


@pytest.mark.parametrize("end", ["", "import os; os.kill(os.getpid(), 9)"])
def test_nothing_is_imported_for_it_and_a_thread_that_comes_later_is_named_all_the_same(run_program, tmp_path, end):
    run_program("""
        import sys
        from snakefish import trace
        trace.start(sys.argv[1])
        trace.mark("begin")
        assert "threading" not in sys.modules
        import threading
        property_before = vars(threading.Thread)["name"]
        if not sys.argv[2]:
            threading.main_thread().name = "main"  # not heard, but seen at the end
        def work():
            trace.mark("work")
            threading.current_thread().name = "worker"
        t = threading.Thread(target=work)
        t.start()
        t.join()
        try:
            threading.Thread.name.fset(1, "x")
        except AttributeError as error:
            assert "_initialized" in str(error) or "_name" in str(error)
        else:
            raise AssertionError("no AttributeError")
        exec(sys.argv[2])
        trace.stop()
        assert vars(threading.Thread)["name"] is property_before
        """, tmp_path / "run.db", end)
    assert not settles(lambda: is_running(tmp_path / "run.db"))
    assert threads(tmp_path / "run.db") == [(0, "MainThread" if end else "main"), (1, "worker")]


def test_a_lane_is_used_again_and_its_threads_do_not_mix(check_program, tmp_path):
    check_program("""
        import sys, threading, time
        from snakefish import trace
        def work(leave_open):
            s = trace.span("work").__enter__()
            if not leave_open:
                s.__exit__(None, None, None)
        with trace.session(sys.argv[1]):
            for i in range(300):
                t = threading.Thread(target=work, args=(i % 2,), name=f"worker {i}")
                t.start()
                t.join()
                while len(__import__("os").listdir("/proc/self/task")) > 1:  # its last instructions run after join()
                    time.sleep(0.0001)
        """, tmp_path / "run.db")
    assert threads(tmp_path / "run.db")[1:] == [(1, f"worker {i}") for i in range(300)]
    with Database(tmp_path / "run.db") as db:
        assert db.rows("SELECT closed, count(*) FROM span WHERE kind = 'span' GROUP BY 1") == [(0, 150), (1, 150)]


def test_threads_that_live_when_a_session_begins_are_named_in_it(check_program, tmp_path):
    check_program("""
        import sys, threading
        from snakefish import trace
        go, done = threading.Event(), threading.Event()
        def work():
            trace.mark("first")
            done.set()
            go.wait()
            trace.mark("second")
        t = threading.Thread(target=work, name="long")
        with trace.session(sys.argv[1]):
            t.start()
            done.wait()
        with trace.session(sys.argv[2]):
            go.set()
            t.join()
        """, tmp_path / "run.db", tmp_path / "second.db")
    for name in "run.db", "second.db":
        assert threads(tmp_path / name) == [(0, "MainThread"), (1, "long")]


def test_a_childs_first_thread_has_the_name_of_the_thread_that_forked_it(check_program, tmp_path):
    check_program("""
        import os, sys, threading
        from snakefish import trace
        def fork():
            trace.mark("parent")
            if not os.fork():
                trace.mark("child")
                t = threading.Thread(target=trace.mark, args=("thread of the child",), name="inner")
                t.start()
                t.join()
                threading.current_thread().name = "renamed"
                os._exit(0)
            os.wait()
        with trace.session(sys.argv[1]):
            t = threading.Thread(target=fork, name="forker")
            t.start()
            t.join()
        """, tmp_path / "run.db")
    assert threads(tmp_path / "run.db") == [(0, "MainThread"), (1, "forker")]
    assert threads(tmp_path / "run.db", 2) == [(0, "renamed"), (1, "inner")]
    with Database(tmp_path / "run.db") as db:
        assert db.rows("SELECT text FROM event e JOIN event_kind k ON k.id = e.kind JOIN text t ON t.id = e.object "
                       "WHERE k.name = 'thread' AND process = 2 AND lane = 0 ORDER BY seq") == [("forker",), ("renamed",)]


def test_lane_0_is_the_main_thread_also_if_another_one_imports_snakefish(check_program, tmp_path):
    check_program("""
        import sys, threading
        def begin():
            from snakefish import trace
            trace.start(sys.argv[1])
            trace.mark("another")
        t = threading.Thread(target=begin, name="importer")
        t.start()
        t.join()
        from snakefish import trace
        trace.mark("main")
        trace.stop()
        """, tmp_path / "run.db")
    assert threads(tmp_path / "run.db") == [(0, "MainThread"), (1, "importer")]
    with Database(tmp_path / "run.db") as db:
        assert db.rows("SELECT lane, text FROM event e JOIN event_kind k ON k.id = e.kind JOIN text t ON t.id = e.object "
                       "WHERE k.name = 'mark' ORDER BY 1") == [(0, "main"), (1, "another")]


def test_threads_without_a_usable_name_do_no_harm(check_program, tmp_path):
    check_program(r"""
        import _thread, sys, threading, time
        from snakefish import trace
        class Odd(threading.Thread):
            name = 5
            def __getattribute__(self, attribute):
                if attribute == "_name" and threading.current_thread() is self:
                    raise KeyError("asked for its name")
                return super().__getattribute__(attribute)
        def work():
            try:
                raise ValueError
            except ValueError:
                trace.mark("work")
        with trace.session(sys.argv[1]):
            threads = [threading.Thread(target=work, name="\udcff"), Odd(target=work), threading.Thread(target=work)]
            threads[2]._name = 7
            for t in threads:
                t.start()
                t.join()
            lock = threading.Lock()
            lock.acquire()
            _thread.start_new_thread(lambda: (work(), lock.release()), ())
            lock.acquire()
        """, tmp_path / "run.db")
    assert [name for _, name in threads(tmp_path / "run.db")[1:]].count(None) >= 3


def test_a_process_that_a_thread_has_forked_and_that_ends_with_it_ends_as_untraced(check_program, tmp_path):
    out = check_program("""
        import _thread, os, sys, threading, time
        import snakefish
        from snakefish import trace
        def fork():
            pid = os.fork()  # both go on
            if pid:
                ended.append(os.waitpid(pid, 0)[1])
        def source():
            fork()
            yield 1
        ended = []
        with trace.session(sys.argv[1]):
            thread = threading.Thread(target=fork)
            thread.start()
            thread.join()
            _thread.start_new_thread(fork, ())
            while len(ended) < 2:
                time.sleep(0.001)
            assert list(snakefish.imap_unordered(abs, source())) == [1]
        print(ended)
        """, tmp_path / "run.db")
    assert out.strip() == "[0, 0, 0]"
    with Database(tmp_path / "run.db") as db:
        usages = db.one("SELECT count(DISTINCT e.process) FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'usage'")
    assert usages >= 4  # the program and its three forks
