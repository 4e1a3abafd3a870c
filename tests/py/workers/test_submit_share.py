"""share= of maps on executors: what chunks change in the caller's globals comes back, as from processes that were forked for
the map. On Dask and MPI: test_engines.py."""
import functools
import os
import signal
import sys
from collections import Counter, defaultdict, deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest
from merging import Unpicklable, shape

import snakefish
from snakefish.merge import Conflict

parallel_map = snakefish.map
ENGINES = {"forked": lambda: None, "processes": lambda: ProcessPoolExecutor(2),
           "snakefish": lambda: snakefish.Executor(2)}


(hits, words, rows, row, ring, point, points, slotted, counted, grouped, queue, held, text, made, name, best, seen, many,
 elements, values, table) = [None] * 21  # begin() sets them


class Point:
    def __init__(self, x):
        self.x = x


class Slotted:
    __slots__ = ("x", "more")


def begin(**more):
    """The globals of this module, as each test starts with them."""
    slotted = Slotted()
    slotted.x, slotted.more = 0, [slotted]
    rows = [[1, 2], [3]]
    ring = []
    ring.append(ring)
    point = Point(rows)
    globals().update(
        hits=0, words={}, rows=rows, row=rows[0], ring=ring, point=point, points={point}, slotted=slotted,
        counted=Counter(), grouped=defaultdict(list), queue=deque([0], 9), held=(rows, {"n": 0}), text=bytearray(4),
        made=[], name="nobody", best=100, seen=[], **more)


begin()
ALL = ["hits", "words", "rows", "row", "ring", "point", "points", "slotted", "counted", "grouped", "queue", "held", "text",
       "made"]


@pytest.fixture(params=ENGINES)
def executor(request):
    begin()
    made = ENGINES[request.param]()
    yield made
    if made is not None:
        made.shutdown()


@pytest.fixture
def processes():
    begin()
    with ProcessPoolExecutor(2) as made:
        yield made


def visit(x):
    """Changes all of them. No chunk sees what another one has changed, so the results are those of any engine."""
    global hits
    hits += 1
    words[x] = {"of": x}
    rows[0].append(x)
    assert row is rows[0] and point.x is rows and point in points and held[0] is rows and slotted.more[0] is slotted
    assert ring[0] is ring
    ring.append(ring)
    point.last = "seen"
    slotted.x += x
    slotted.more.append(slotted)
    counted[x % 3] += 1
    grouped[x % 2].append(x)
    queue.append(x)
    held[1]["n"] += 1
    text[x % 4] = x % 4
    made.append(Point([rows[1], x]))
    return x


def state():
    assert points == {point}  # a set has no order that shape could compare
    return shape({name: globals()[name] for name in ALL if name != "points"})


@pytest.mark.parametrize("chunksize, local", [(1, None), (3, None), (8, 2)])
def test_the_same_comes_back_as_from_forked_processes(executor, chunksize, local):
    more = {} if executor is None or local is None else {"local": local}
    assert parallel_map(visit, range(8), executor=executor, chunksize=chunksize, share=ALL, **more) == list(range(8))
    came = state()
    begin()
    for x in range(8):
        visit(x)
    assert came == state()


# ---- where from, and where to ----


def bump(x):
    global hits
    hits += x
    seen.append(x)
    return hits


def own_hits(x):
    return hits, len(seen), os.getpid()


def test_each_chunk_starts_with_the_values_of_the_call_and_leaves_the_worker_as_it_was(executor):
    global hits
    parallel_map(own_hits, range(4), executor=executor)  # the workers have what is here now
    hits = 1000
    assert parallel_map(bump, [1] * 4, executor=executor, chunksize=1, share=["hits", "seen"]) == [1001] * 4
    assert (hits, seen) == (1004, [1] * 4)
    hits = 5
    assert parallel_map(bump, [1] * 4, executor=executor, chunksize=2, share=["hits"]) == [6, 7, 6, 7]
    assert (hits, seen) == (9, [1] * 4)
    if isinstance(executor, ProcessPoolExecutor):
        assert {(mine, count) for mine, count, _ in parallel_map(own_hits, range(9), executor=executor)} == {(0, 0)}


def test_what_a_worker_has_changed_before_is_not_seen(processes):
    assert max(parallel_map(bump, [1] * 4, executor=processes, chunksize=1)) >= 2  # its own
    assert parallel_map(bump, [1] * 4, executor=processes, chunksize=1, share=["hits"]) == [1] * 4
    assert hits == 4


def take(rows, x):
    rows.append(x)
    return rows is globals()["rows"]


def test_an_argument_that_is_shared_is_the_variable_there(executor):
    assert parallel_map(functools.partial(take, x=7), [rows], executor=executor, share=["rows"]) == [True]
    assert snakefish.starmap(take, [(rows, 8), ([0], 9)], executor=executor, chunksize=1, share=["rows"]) == [True, False]
    assert rows == [[1, 2], [3], 7, 8] and row is rows[0]


class Bumper:
    def __init__(self, by=1):
        bump(by)
        self.by = by

    def __call__(self, x):
        return bump(x * self.by)

    def bump(self, x):
        return bump(x)


def wraps_bump():
    @functools.wraps(bump)
    def wrapped(x):
        return bump(x)

    return wrapped


@pytest.mark.parametrize("make", [lambda: Bumper, Bumper, lambda: Bumper().bump, lambda: functools.partial(bump),
                                  lambda: functools.partial(Bumper(), x=1), wraps_bump])
def test_functions_of_every_kind(executor, make):
    global hits
    f, hits = make(), 0
    items = [(1,)] * 3 if not getattr(f, "keywords", None) else [()] * 3
    if make is wraps_bump and isinstance(executor, ProcessPoolExecutor):
        pytest.importorskip("cloudpickle")
    snakefish.starmap(f, items, executor=executor, chunksize=1, share=["hits"])
    assert hits == 3


def test_a_function_in_c(executor):
    assert parallel_map(abs, [-1], executor=executor, share=["hits"]) == [1]


def count_elsewhere(x):
    elsewhere = sys.modules["merging"]
    elsewhere.counted_here += x


def test_globals_of_other_modules(executor):
    import merging

    merging.counted_here = 1
    try:
        share = {"merging:counted_here": "sum", "hits": None}
        parallel_map(count_elsewhere, [1, 2], executor=executor, chunksize=1, share=share)
        assert (merging.counted_here, hits) == (4, 0)
        parallel_map(count_elsewhere, [1, 2], executor=executor, globals=vars(merging), share=["counted_here"])
        assert merging.counted_here == 7
    finally:
        del merging.counted_here


def test_globals_of_no_module(executor):
    if executor is not None:
        with pytest.raises(ValueError, match="share: 'n' is a global of no module, so an executor's workers do not find it"):
            parallel_map(bump, [1], executor=executor, share=["n"], globals={"n": 0})


def use_many(x):
    many[f"new {x}"] = x
    del many[f"key {x}"]
    for element in elements:
        element.x += 1


@pytest.mark.parametrize("make", [ENGINES["processes"], ENGINES["snakefish"]])
def test_what_is_large_and_has_no_order_travels_once_to_each_worker(make):
    size = 20000
    begin(many={f"key {n}": n for n in range(size)}, elements={Point(n) for n in range(10)})
    with make() as executor:
        parallel_map(use_many, range(12), executor=executor, chunksize=1, share=["many", "elements"])
    assert list(many.items()) == [(f"key {n}", n) for n in range(12, size)] + [(f"new {n}", n) for n in range(12)]
    assert sorted(element.x for element in elements) == list(range(12, 22))


def fill_in(x):
    values[x] += x
    table["grid"][x % 2, x % 3] = x
    assert table["same"] is values


def test_arrays(executor):
    numpy = pytest.importorskip("numpy")
    values = numpy.zeros(100000)
    globals().update(values=values, table={"grid": numpy.zeros((2, 3), "i4"), "same": values})
    parallel_map(fill_in, range(6), executor=executor, chunksize=2, share=["values", "table"])
    assert list(values[:7]) == [0, 1, 2, 3, 4, 5, 0] and not values[7:].any() and table["same"] is values
    assert table["grid"].tolist() == [[0, 4, 2], [3, 1, 5]]


# ---- rules and conflicts ----


def put(x):
    global name, best
    bump(1)
    name = f"name {x}"
    best = min(best, 50 - x)
    words[x % 2] = x


RULES = {"hits": None, "name": "last", "best": min, "words": "max"}


def test_rules_and_merge_functions(executor):
    parallel_map(put, range(6), executor=executor, chunksize=1, share=RULES)
    assert (hits, name, best, words) == (6, "name 5", 45, {0: 4, 1: 5})
    called = []

    def merge(base, current, child):
        called.append((base["hits"], current["hits"], child["hits"]))
        return {"hits": current["hits"] + child["hits"] - base["hits"], "words": child["words"]}

    parallel_map(put, range(2), executor=executor, chunksize=1, share=["hits", "words"], merge=merge)
    assert (hits, words, called) == (8, {0: 4, 1: 1}, [(6, 6, 7), (6, 7, 7)])


def test_a_conflict_names_the_chunk_and_nothing_is_merged(executor):
    with pytest.raises(Conflict) as caught:
        parallel_map(put, range(6), executor=executor, chunksize=2, share={**RULES, "words": "either"})
    conflict = caught.value
    assert (conflict.place, conflict.base, conflict.current, conflict.child) == ("words[0]", snakefish.merge.ABSENT, 0, 2)
    if executor is not None:
        assert conflict.child_task == "chunk 1, arguments 2 to 3"
    assert (hits, name, best, words) == (0, "nobody", 100, {})
    parallel_map(put, range(6), executor=executor, chunksize=2, share={**RULES, "words": "either"}, on_conflict="child")
    assert (hits, words) == (6, {0: 4, 1: 5})


# ---- what fails ----


def fail_at_3(x):
    put(x)
    if x == 3:
        raise LookupError(x)
    return x


def die_at_3(x):
    put(x)
    if x == 3:
        os.kill(os.getpid(), signal.SIGKILL)


def kill_worker_at_3(x):
    put(x)
    if x == 3:
        os.kill(os.getppid(), signal.SIGKILL)


def leave_at_3(x):
    put(x)
    if x == 3:
        sys.exit(3)


@pytest.mark.parametrize("local", [None, 2])
def test_a_map_that_raises_merges_nothing(executor, local):
    more = {} if local is None or executor is None else {"local": local}
    for f, failure in ((fail_at_3, LookupError), (die_at_3, snakefish.ChildDied), (leave_at_3, snakefish.ChildDied)):
        with pytest.raises(failure, match="3"):
            parallel_map(f, range(6), executor=executor, chunksize=2, share=RULES, **more)
        assert (hits, name, best, words) == (0, "nobody", 100, {})


def test_a_worker_that_dies(processes):
    with pytest.raises(snakefish.ChildDied, match="a worker of the ProcessPoolExecutor .* died"):
        parallel_map(kill_worker_at_3, range(6), executor=processes, chunksize=1, share=RULES)
    assert (hits, name, best, words) == (0, "nobody", 100, {})


def remember(x):
    words[x] = Unpicklable()


def test_changes_that_cannot_be_pickled(executor):
    with pytest.raises(TypeError, match="what a task has changed in words cannot be pickled"):
        parallel_map(remember, [1], executor=executor, share=["words"])
    assert words == {}


def test_values_that_cannot_be_pickled_are_named_at_the_call(executor):
    words["lock"] = Unpicklable()
    asked = []
    arguments = (asked.append(x) or x for x in range(3))
    if executor is None:
        assert parallel_map(bump, arguments, 1, share=["hits", "words"]) == [0, 1, 3]
        return
    with pytest.raises(TypeError, match="share: 'words' cannot be pickled, so it cannot travel to the executor's workers: "):
        parallel_map(bump, arguments, executor=executor, share=["hits", "words"])
    with pytest.raises(TypeError, match="share: 'words' cannot be pickled"):
        snakefish.imap(bump, arguments, executor=executor, share=["hits", "words"])
    assert hits == 0


def test_threads_of_this_process_are_refused():
    begin()
    with ThreadPoolExecutor(2) as threads:
        for call in parallel_map, snakefish.imap:
            with pytest.raises(ValueError, match="workers are threads of this process"):
                call(bump, [1], executor=threads, share=["hits"])
    assert hits == 0


def test_wrong_arguments(executor):
    for wrong, error, text in (({"share": ["hitz"]}, ValueError, "has no global 'hitz'"),
                               ({"share": "hits"}, TypeError, "not one string"),
                               ({"share": ["hits"], "on_conflict": "guess"}, ValueError, "on_conflict is"),
                               ({"on_conflict": "child"}, ValueError, "on_conflict goes with share"),
                               ({"share": ["hits"], "merge": lambda a, b: None}, TypeError, "base, current, child"),
                               ({"share": {"name": None}}, TypeError, "no merge follows"),
                               ({"share": ["hits"], "extract": len, "merge": max}, ValueError, "does not go with extract")):
        with pytest.raises(error, match=text):
            parallel_map(bump, [1], executor=executor, **wrong)
    if executor is not None:
        with pytest.raises(ValueError, match="share_check= does not go with executor="):
            parallel_map(bump, [1], executor=executor, share=["hits"], share_check=True)
    assert parallel_map(bump, [1], executor=executor, share=None, on_conflict=None) == [1]


# ---- imap ----


def test_imap_merges_a_chunk_before_its_first_result(executor):
    with snakefish.imap(bump, iter(range(1, 7)), chunksize=2, executor=executor, share=["hits", "seen"]) as results:
        came = [(next(results), hits, list(seen)) for _ in range(4)]
    assert came == [(1, 3, [1, 2]), (3, 3, [1, 2]), (3, 10, [1, 2, 3, 4]), (7, 10, [1, 2, 3, 4])]
    assert (hits, seen) == (10, [1, 2, 3, 4])  # what was not taken is not merged


@pytest.mark.parametrize("local", [None, 2])
def test_imap_merges_what_was_changed_before_an_exception(executor, local):
    more, count = ({"local": local}, 4) if executor is not None and local else ({}, 2)
    results = snakefish.imap(fail_at_3, range(8), chunksize=count, executor=executor, share=RULES, **more)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LookupError) as caught:
        next(results)
    assert "in fail_at_3" in str(caught.value.__cause__)
    assert list(results) == [] and (hits, name, words) == (4, "name 3", {0: 2, 1: 3})


def test_imap_stops_at_a_conflict(executor):
    results = snakefish.imap(put, range(6), chunksize=2, executor=executor, share={**RULES, "words": "either"})
    assert [next(results), next(results)] == [None, None]
    with pytest.raises(Conflict, match="chunk 1, arguments 2 to 3 2"):
        next(results)
    assert list(results) == [] and (hits, name, words) == (2, "name 1", {0: 0, 1: 1})


def test_imap_unordered_would_merge_in_another_order_each_time(executor):
    with pytest.raises(ValueError, match="share= does not go with imap_unordered: .* Use imap"):
        snakefish.imap_unordered(bump, range(3), executor=executor, share=["hits"])
    assert sorted(snakefish.imap_unordered(abs, range(3), executor=executor, share=None)) == [0, 1, 2]
