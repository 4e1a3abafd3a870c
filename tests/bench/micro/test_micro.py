"""The micro-benchmarks: every runtime gets every one right, what is garbled is noticed, and the floors are measured."""
import pytest

from bench.run import blocks, catalog
from bench.support import measuring_programs
from bench.micro import map_skewed
from bench.run.sample import by_turns
from conftest import shared_out
from matrix import first

MICRO = [name for name in catalog.workload_names() if catalog.kind(name) == "micro"]
RUNTIMES = [name for name in catalog.names("runtimes") if name not in ("sequential", "snakefish-channels", "ceiling")]
STREAMS = [name for name in MICRO if name.startswith("stream-")]


def runs(found, runtime):
    """The micro-benchmarks that it can run."""
    if not found[runtime].present:
        pytest.skip(found[runtime].reason)
    if set(found[runtime].offers) <= {"programs"} or found[runtime].only == ("program",):
        pytest.skip("it runs programs only")
    return runnable(found, runtime)


def runnable(found, runtime):
    return [name for name in MICRO if catalog.workload(name).runs_on(found[runtime]) and not catalog.workload(name).lacks]


def check_outputs(found, runtime, names):
    assert names
    for workload in map(catalog.workload, names):
        size = workload.check_size
        (workers,) = workload.worker_counts(found[runtime], [1], 2)
        ended, answer = blocks.ask([workload.name, size, runtime, workers], limit_s=60)
        assert answer, ended.stderr
        assert answer["output_sha256"] == workload.published_sha256(size), workload.name
        assert answer["operations"] == workload.operations(size)
        assert answer["region_ns"] > 0


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_micro_benchmark_comes_out_right(found, runtime):
    """Every one and every runtime, but not every pair."""
    assert runs(found, runtime)
    present = {name: runnable(found, name) for name in RUNTIMES if found[name].present}
    check_outputs(found, runtime, shared_out(present)[runtime])


@pytest.mark.long
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_micro_benchmark_comes_out_right_on_every_runtime(found, runtime):
    check_outputs(found, runtime, runs(found, runtime))


@pytest.mark.parametrize("name", [name for name in MICRO if not catalog.workload(name).sweep])
def test_each_has_its_floor_and_targets_of_runtimes_that_are_there(name):
    workload = catalog.workload(name)
    assert workload.module.floor_is
    in_the_sample = hasattr(workload.module, "by_turns") or name == "trace-collect"  # whose program measures both
    assert hasattr(workload.module, "floor") != in_the_sample
    assert set(workload.module.targets) <= set(RUNTIMES)
    assert all(times_as_fast >= 1 / 2 for times_as_fast in workload.module.targets.values())


# A runtime that sends through multiprocessing and does one thing wrong to the message number `victim`.
GARBLING = '''
"""garbling: does something to a message"""
from contextlib import contextmanager
from bench.runtimes import multiprocessing

@contextmanager
def stream(produce, message_bytes):
    def garble(send):
        count = 0
        def sending(message):
            nonlocal count
            count += 1
            {what}
        produce(sending)
    with multiprocessing.stream(garble, message_bytes) as receive:
        yield receive
'''
WRONG = {
    "a byte": "send(garbled(message) if count == victim else message)",
    "lost, and the next one twice": "count != victim and send(message); count == victim + 1 and send(message)",
}
GARBLED = '''
def garbled(message):
    if isinstance(message, bytes):
        return message[:-1] + bytes([message[-1] ^ 1])
    if isinstance(message, int):
        return message + 1
    if isinstance(message, dict):
        return {**message, "mass": 0.5}
    message = message.copy()
    message[-1] += 1
    return message
victim = VICTIM
'''


def garbling(what, victim):
    return GARBLING.format(what=what) + GARBLED.replace("VICTIM", str(victim))


@pytest.mark.diagonal
@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("name", STREAMS)
def test_a_garbled_message_voids_the_sample(bench, name, what):
    """Every byte in the rehearsal, whose first message it is."""
    if catalog.workload(name).lacks:
        pytest.skip(catalog.workload(name).lacks)
    bench.add("runtimes", "garbling", garbling(WRONG[what], victim=1))
    bench.run("--quick", "--filter", name, "--runtimes", "garbling", "--blocks", 1, code=1)
    (row,) = bench.rows("SELECT status, error FROM sample")
    assert row["status"] == "crash" and "not what was sent" in row["error"]
    assert not bench.rows("SELECT * FROM measurement")


@pytest.mark.parametrize("name", first(2, STREAMS))
def test_a_message_lost_in_the_region_voids_the_sample(bench, name):
    if catalog.workload(name).lacks:
        pytest.skip(catalog.workload(name).lacks)
    rehearsed = max(2, round(catalog.workload(name).check_size * 0.1))
    # the last but one: the one after it is doubled, so that the number of messages is right
    victim = rehearsed + catalog.workload(name).check_size - 1
    bench.add("runtimes", "garbling", garbling(WRONG["lost, and the next one twice"], victim))
    bench.run("--quick", "--filter", name, "--runtimes", "garbling", "--blocks", 1, code=1)
    assert bench.rows("SELECT status, output_ok FROM sample") == [{"status": "wrong", "output_ok": 0}]


MAPPING = '''
"""wrong-map: one result is not right"""
from contextlib import contextmanager

own_chunks = True

@contextmanager
def pool(workers):
    def wrong(f, args, chunksize):
        results = [f(x) for x in args]
        {what}
        return results
    yield wrong
'''


@pytest.mark.diagonal
@pytest.mark.parametrize("name", [name for name in MICRO if name.startswith("map-")])
@pytest.mark.parametrize("what", ("results[-1] = results[-2]", "results.pop()", "results[0], results[1] = results[1::-1]"))
def test_a_wrong_result_of_a_map_voids_the_sample(bench, name, what):
    bench.add("runtimes", "wrong_map", MAPPING.format(what=what))
    bench.run("--quick", "--filter", name, "--runtimes", "wrong-map", "--blocks", 1, "--limit", 20, code=1)
    assert bench.rows("SELECT status, output_ok FROM sample") == [{"status": "wrong", "output_ok": 0}]


def test_a_missing_library_is_told_with_its_package(bench):
    bench.add("runtimes", "lacking", '"""lacking: x"""\nfrom bench.runtimes import package\n'
              'package("no_such_library", debian="python3-no-such-library")\n')
    _, err = bench.run("--quick", "--filter", "fannkuch", "--runtimes", "sequential,lacking", "--dry-run")
    assert "No module named 'no_such_library'; to have it: apt-get install python3-no-such-library" in err


def test_a_micro_benchmark_without_its_package_is_absent_and_the_others_run(bench):
    source = ('"""lacking-{0}: x"""\nfrom bench.micro.stream_int import *  # noqa: F403\nsize = check_size = 10\n'
              'packages = {1}\n')
    bench.add("micro", "lacking_a", source.format("a", {"no_such_library": "python3-no-such-library"}))
    bench.add("micro", "lacking_b", source.format("b", {}))
    _, err = bench.run("--filter", "lacking", "--runtimes", "multiprocessing", "--blocks", 1)
    assert "lacking-a is absent: to have it: apt-get install python3-no-such-library" in err
    assert {r["workload"] for r in bench.rows("SELECT workload FROM sample")} == {"lacking-b"}


def test_a_near_floor_is_measured_by_turns_in_the_sample_itself(bench):
    bench.run("--quick", "--filter", "spawn-join", "--runtimes", "snakefish,floor", "--blocks", 1)
    bench.run("--quick", "--filter", "map-skewed", "--runtimes", "snakefish", "--blocks", 1)
    for row in bench.rows("SELECT * FROM sample"):
        assert row["runtime"] == "snakefish" and row["floor_ns"] > 0 and row["region_ns"] > 0
    (floor,) = bench.rows("SELECT floor_ns, operation_ns FROM measurement WHERE session = 1")
    assert floor["floor_ns"] < 1e9 and floor["operation_ns"] > 0


def test_turns_alternate_and_each_side_has_its_own_time():
    order = []

    def floor():
        order.append("floor")
        return 7

    values, region_ns, floor_ns = by_turns(lambda: order.append("run"), floor, 4)
    assert order == ["run", "floor", "floor", "run"] * 2
    assert (values, floor_ns) == ([None] * 4, 28) and region_ns > 0


def test_a_sweep_runs_in_all_its_sizes_and_says_where_it_is_crossed(bench):
    bench.add("micro", "short_sweep", '"""short-sweep: x"""\nfrom bench.micro.task_size import *  # noqa: F403\n'
              "sweep = (1, 3000)\n")
    bench.run("--filter", "short-sweep", "--runtimes", "sequential,snakefish", "--blocks", 1)
    rows = bench.rows("SELECT runtime, size, series, status FROM sample "
                      "JOIN cell USING(session, workload, size, runtime, workers)")
    assert {(r["runtime"], r["size"]) for r in rows} == {(r, s) for r in ("sequential", "snakefish") for s in (1, 3000)}
    assert {(r["series"], r["status"]) for r in rows} == {("sweep", "ok")}
    out, _ = bench("show", "--all", bench.db)
    assert "short-sweep: faster than sequential from this size on" in out


def test_floor_program():
    assert measuring_programs.floor("memcpy", 4096, 10)[0] == 10
    right, ns = measuring_programs.floor("spin", 100)
    assert right == 100 and ns > 0


def test_skewed_tasks_are_skewed_and_can_be_shared_out_evenly():
    """So that the target is in reach: chunks handed out in order leave the last worker hardly longer at work."""
    steps = [steps for _, steps in map_skewed.tasks(map_skewed.size)]
    longest = sorted(steps)[-len(steps) // 10:]
    assert sum(longest) > 0.3 * sum(steps)
    busy = [0, 0]
    for at in range(0, len(steps), map_skewed.CHUNKSIZE):
        busy[busy.index(min(busy))] += sum(steps[at:at + map_skewed.CHUNKSIZE])
    assert max(busy) < 1.02 * sum(steps) / 2


def test_the_short_cut_of_a_skewed_task_is_its_result():
    assert all(map_skewed.at_once(task) == map_skewed.step_by_step(task) for task in map_skewed.tasks(20))
    assert map_skewed.at_once((3, 0)) == 3
