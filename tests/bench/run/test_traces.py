"""`python3 -m bench trace`: a trace database of each program under each runtime."""
import sqlite3
from contextlib import closing

from bench.run import traces

RUNTIMES = ("snakefish", "multiprocessing")

# Marks say what lies within the trace, and whether the process that is traced made the input itself.
MARKING = '''
import atexit, tempfile
from snakefish.trace import mark
made = False

def prepare(size):
    global made
    mark("preparing")
    atexit.register(mark, "ending")
    try:
        open(tempfile.gettempdir() + "/input", "x").close()
        made = True
    except FileExistsError:
        pass

def program(size, workers, map):
    mark("the input is made here" if made else "the input was there")
    results = map(work, tasks(size, workers))
    mark("all is done")
    return combine(size, results)
'''


def traced(bench, folder):
    """{runtime: an open trace of the program `injected`}; and what was said."""
    _, err = bench("trace", "injected", "--workers", 2, "-o", folder)
    return {runtime: closing(sqlite3.connect(folder / f"injected-{runtime}.db")) for runtime in RUNTIMES}, err


def test_a_program_is_traced_under_both_runtimes(bench, program, tmp_path):
    bench.add("workloads", "injected", program())
    found, err = traced(bench, tmp_path / "traces")
    for runtime, opened in found.items():
        with opened as db:
            assert db.execute("SELECT count(*) > 1 FROM process").fetchone() == (1,), runtime
            assert db.execute("SELECT value > 0 FROM efficiency WHERE name = 'useful_ns'").fetchone() == (1,)
            assert db.execute("SELECT count(*) > 1 FROM prediction").fetchone() == (1,)
            cell = dict(db.execute("SELECT substr(key, 7), value FROM meta WHERE key LIKE 'bench!_%' ESCAPE '!'"))
            assert cell == {"workload": "injected", "size": 4, "runtime": runtime, "workers": 2, "same_tasks": 0}
            assert db.execute("SELECT count(*) FROM span WHERE kind = 'chunk'").fetchone()[0] >= 2, runtime
            (sentence,) = db.execute("SELECT sentence FROM advice WHERE rank = 1").fetchone()
            assert f"bench: injected, {runtime}: " in err and sentence in err
    assert "no workload" in bench("trace", "nothing", code=2)[1]
    assert "not with names" in bench("trace", "--full", "injected", code=2)[1]


def test_a_trace_holds_the_region_alone_and_its_input_was_made_before(bench, program, tmp_path):
    bench.add("workloads", "injected", program() + MARKING)
    for opened in traced(bench, tmp_path / "traces")[0].values():
        with opened as db:
            marks = db.execute("SELECT t.text, e.ns FROM event_time e JOIN text t ON t.id = e.object "
                               "JOIN event_kind k ON k.id = e.kind WHERE k.name = 'mark' ORDER BY e.ns").fetchall()
            assert [name for name, _ in marks] == ["the input was there", "all is done"]
            (begin, end), = db.execute("SELECT start_ns, end_ns FROM process WHERE parent IS NULL")
            assert begin <= marks[0][1] and marks[-1][1] <= end


def test_a_program_that_fails_makes_the_command_fail(bench, program, tmp_path):
    bench.add("workloads", "injected", program("raise ValueError('injected')"))
    assert "ValueError: injected" in bench("trace", "injected", "-o", tmp_path, code=1)[1]
    bench.add("workloads", "injected", program() + "def prepare(size): raise OSError('no room for the input')\n")
    out, err = bench("trace", "injected", "-o", tmp_path, code=1)
    assert out == "" and err.count("OSError: no room for the input") == 1


def test_without_names_the_programs_of_the_benchmarks_game_are_traced_or_all():
    names = [workload.name for workload in traces.programs(full=False)]
    assert len(names) == 7 and "mandelbrot" in names
    every = [workload.name for workload in traces.programs(full=True)]
    assert set(names) < set(every) and "word-count" in every and "spawn-join" not in every
