"""Spans that overlap: each has its own times, whatever began and ended meanwhile, and in whichever thread."""
import json

import pytest
from conftest import PYPY
from databases import TRACER, Database

pytestmark = pytest.mark.skipif(not TRACER.exists(), reason="the collector is not built: make tracer")


# What a span's times have to be: `with m.around, trace.span("x"), m.inside:` measures it from both sides. `told` prints all.
MEASURE = """
import asyncio, contextlib, json, os, sys, threading, time
from snakefish import trace
measured = []
class Side:
    def __enter__(self):
        self.begin = time.monotonic_ns()
    def __exit__(self, *_):
        self.end = time.monotonic_ns()
class Measure:
    def __init__(self):
        self.around, self.inside = Side(), Side()
        measured.append(self)
def told():
    measured.sort(key=lambda m: m.inside.begin)
    print(json.dumps([(m.inside.end - m.inside.begin, m.around.end - m.around.begin) for m in measured]))
"""
SLACK_NS = 100_000  # of the clock


def spans(path):
    """[(name, ns, closed)] in the order of their begins. Nothing is lost."""
    with Database(path) as db:
        assert db.losses() == []
        return [(name, ns, bool(closed)) for name, ns, closed in db.rows(
            "SELECT text, duration_ns, closed FROM span JOIN text t ON t.id = object WHERE kind = 'span' ORDER BY start_ns")]


def check_times(path, out, *names):
    """Each span has the times that the program has measured."""
    found, measured = spans(path), json.loads(out)
    assert [(name, closed) for name, _, closed in found] == [(name, True) for name in names]
    for (_, ns, _), (least, most) in zip(found, measured):
        assert least - SLACK_NS <= ns <= most + SLACK_NS, (found, measured)


def test_tasks_of_asyncio_have_each_their_own_times(check_program, tmp_path):
    out = check_program(MEASURE + """
async def request(s):
    m = Measure()
    with m.around, trace.span("request"), m.inside:
        await asyncio.sleep(s)
async def main():
    await asyncio.gather(request(0.06), request(0.12), request(0.03))
with trace.session(sys.argv[1]):
    asyncio.run(main())
told()
""", tmp_path / "run.db")
    check_times(tmp_path / "run.db", out, *["request"] * 3)


def test_interleaved_generators_have_each_their_own_times(check_program, tmp_path):
    out = check_program(MEASURE + """
def steps(name):
    m = Measure()
    with m.around, trace.span(name), m.inside:
        yield
with trace.session(sys.argv[1]):
    first, second = steps("first"), steps("second")
    for g in first, second:
        next(g)
        time.sleep(0.03)
    next(first, None)
    time.sleep(0.06)
    next(second, None)
    left = steps("left")  # closed while it is suspended
    next(left)
    left.close()
told()
""", tmp_path / "run.db")
    check_times(tmp_path / "run.db", out, "first", "second", "left")


def test_one_span_object_may_be_entered_again_by_others_and_left_in_any_order(check_program, tmp_path):
    out = check_program(MEASURE + """
REQUEST = trace.span("request")
async def request(s):
    m = Measure()
    with m.around, REQUEST as entered, m.inside:
        assert entered is REQUEST
        await asyncio.sleep(s)
async def main():
    await asyncio.gather(request(0.06), request(0.12), request(0.03))
with trace.session(sys.argv[1]):
    asyncio.run(main())
    outer, inner = Measure(), Measure()
    with outer.around, REQUEST, outer.inside:
        with inner.around, REQUEST, inner.inside:
            time.sleep(0.01)
        time.sleep(0.03)
told()
""", tmp_path / "run.db")
    check_times(tmp_path / "run.db", out, *["request"] * 5)


def test_one_that_is_entered_again_by_hand_ends_the_last_entry_first(check_program, tmp_path):
    out = check_program(MEASURE + """
s = trace.span("by hand")
one, two, three, four = Measure(), Measure(), Measure(), Measure()
with trace.session(sys.argv[1]):
    with one.around:
        s.__enter__()
        with one.inside:
            time.sleep(0.03)
            with two.around, contextlib.ExitStack() as stack:
                stack.enter_context(s)
                with two.inside, three.around, contextlib.ExitStack() as inner:
                    inner.enter_context(s)
                    with three.inside:
                        time.sleep(0.03)
                        assert s.__exit__ is not s  # looked up, and not called
                        with four.around, s, four.inside:
                            pass
                time.sleep(0.03)
        end = s.__exit__
        del s
        end(None, None, None)
told()
""", tmp_path / "run.db")
    check_times(tmp_path / "run.db", out, *["by hand"] * 4)


def test_one_may_be_entered_again_very_often(check_program, tmp_path):
    check_program("""
        import sys
        from snakefish import trace
        with trace.session(sys.argv[1]):
            many = trace.span("many")
            for _ in range(50_000):
                many.__enter__()
            for _ in range(25_000):
                many.__exit__(None, None, None)
            del many  # the others are open still
        """, tmp_path / "run.db")
    found = spans(tmp_path / "run.db")
    assert [closed for _, _, closed in found] == [False] * 25_000 + [True] * 25_000


def test_a_span_may_end_in_another_thread(check_program, tmp_path):
    out = check_program(MEASURE + """
handed_on, own = Measure(), Measure()
with trace.session(sys.argv[1]):
    span = trace.span("handed on")
    handed_on.around.__enter__()
    span.__enter__()
    handed_on.inside.__enter__()
    def work():
        with own.around, trace.span("own"), own.inside:
            time.sleep(0.03)
            handed_on.inside.__exit__()
            span.__exit__(None, None, None)
            handed_on.around.__exit__()
            time.sleep(0.03)
    t = threading.Thread(target=work)
    t.start()
    t.join()
told()
""", tmp_path / "run.db")
    check_times(tmp_path / "run.db", out, "handed on", "own")
    with Database(tmp_path / "run.db") as db:
        assert db.rows("SELECT lane FROM span WHERE kind = 'span' ORDER BY start_ns") == [(0,), (1,)]


def test_a_forked_childs_end_of_its_parents_span_is_counted_and_ends_nothing_else(check_program, tmp_path):
    check_program("""
        import os, sys
        from snakefish import trace
        with trace.session(sys.argv[1]):
            with trace.span("around"):
                pid = os.fork()
                if not pid:
                    inner = trace.span("around").__enter__()
            if not pid:
                inner.__exit__(None, None, None)
                os._exit(0)
            os.waitpid(pid, 0)
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        assert db.losses() == []
        assert sorted(db.rows("SELECT process, closed, a FROM span WHERE kind = 'span'")) == [(1, 1, 1), (2, 1, 2)]
        assert db.rows("SELECT process, value FROM stats WHERE name = 'spans_begun_before'") == [(2, 1)]
        assert db.rows("SELECT e.a, e.b FROM event e JOIN event_kind k ON k.id = e.kind WHERE k.name = 'span' AND process = 2 "
                       "AND e.phase = 2 AND begin IS NULL") == [(1, 1)]


def test_spans_that_began_before_the_session_or_end_after_it_do_no_harm(check_program, tmp_path):
    check_program("""
        import sys
        from snakefish import trace
        before, over, again = trace.span("before"), trace.span("over"), trace.span("over")
        before.__enter__()
        with trace.session(sys.argv[1]):
            before.__exit__(None, None, None)
            over.__enter__()
        with trace.session(sys.argv[2]):
            with again:
                over.__exit__(None, None, None)
        """, tmp_path / "run.db", tmp_path / "second.db")
    assert [(name, closed) for name, _, closed in spans(tmp_path / "run.db")] == [("over", False)]
    assert [(name, closed) for name, _, closed in spans(tmp_path / "second.db")] == [("over", True)]
    for name in "run.db", "second.db":
        with Database(tmp_path / name) as db:
            assert db.one("SELECT value FROM stats WHERE name = 'spans_begun_before'") == 1


def test_spans_that_begin_or_end_inside_a_call_leave_the_ledger_alone(check_program, tmp_path):
    check_program("""
        import sys, time, snakefish
        from snakefish import trace
        before, begun = trace.span("before"), trace.span("begun in it")
        def busy(*_):
            end = time.monotonic() + 0.05
            while time.monotonic() < end:
                pass
        def merge(*_):
            begun.__enter__()
            before.__exit__(None, None, None)
            busy()
        with trace.session(sys.argv[1]):
            before.__enter__()
            with snakefish.Thread(lambda: 1, lambda g: 1, merge) as t:
                t.start()
            busy()
            begun.__exit__(None, None, None)
        """, tmp_path / "run.db")
    with Database(tmp_path / "run.db") as db:
        ledger = dict(db.rows("SELECT category, ns FROM ledger WHERE process = 1"))
        merging = db.one("SELECT duration_ns FROM span WHERE kind = 'merge'")
        assert abs(ledger["merging"] - merging) < 1_000_000 and ledger["running"] >= 50_000_000


@pytest.mark.skipif(PYPY, reason="PyPy counts no references")
def test_spans_cost_no_memory_and_no_reference(check_program):
    check_program("""
        import sys, tracemalloc
        from snakefish import trace
        names = [f"name {i}" for i in range(100)]
        tracemalloc.start()
        def use(times):
            shared = trace.span("shared")
            for i in range(times):
                with trace.span(names[i % 100]), shared, shared:
                    hand = trace.span(names[-1 - i % 100])
                    hand.__enter__()
                    hand.__enter__()
        use(100)
        counts, before = [sys.getrefcount(n) for n in names], tracemalloc.get_traced_memory()[0]
        types = sys.getrefcount(trace.span)
        use(10_000)
        assert [sys.getrefcount(n) for n in names] == counts and sys.getrefcount(trace.span) == types
        assert tracemalloc.get_traced_memory()[0] < before + 2000
        """)
