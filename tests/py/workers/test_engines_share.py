"""share= on engines that reach past one machine, started here on loopback: Dask, MPI, and loky. Each runs the same program,
as __main__, so that its functions and classes go by value."""
import textwrap

from conftest import finish_program, start_program
from test_engines import MPI_END, dask_cluster, mpi, needs, needs_mpi

PROGRAM = """
import os, snakefish
from collections import Counter

class Point:
    def __init__(self, x):
        self.x = x

    def count(self):
        global hits
        hits += 1
        self.x += 1

def double(x):
    return 2 * x

def begin():
    global hits, words, rows, row, ring, points, handlers, counted, made
    hits, words, rows, counted, made = 0, {}, [[1, 2], [3]], Counter(), []
    row, ring, points, handlers = rows[0], [], {f"point {n}": Point(n) for n in range(3)}, {"double": double}
    ring.append(ring)

ALL = ["hits", "words", "rows", "row", "ring", "points", "handlers", "counted", "made"]

def count(x):
    global hits
    hits += 1

def visit(x):
    count(x)
    words[f"word {x}"] = {f"{x}"}
    row.append(x)
    assert rows[0] is row and ring[0] is ring
    ring.append(ring)
    points["point 0"].count()
    handlers[x] = handlers["double"]
    counted[f"{x % 3}"] += 1
    made.append(Point(row))
    return len(row), Point(x)

def own_hits(x):
    return hits, len(words)

def put(x):
    count(x)
    words["x"] = x

def fail(x):
    count(x)
    if x == 3:
        raise LookupError(x)
    return x

def kill_itself(x):
    count(x)
    if x == 1:
        os.kill(os.getpid(), 9)

def check(executor):
    for chunksize, more in ((1, {}), (3, {}), (6, {"local": 2})):
        begin()
        came = snakefish.map(visit, range(12), executor=executor, chunksize=chunksize, share=ALL, **more)
        size = 3 if "local" in more else chunksize
        assert [at for at, _ in came] == [3 + x % size for x in range(12)], came
        assert type(came[0][1]) is Point and Point.count.__globals__ is globals()
        assert (hits, row) == (24, [1, 2, *range(12)]), (hits, row)
        assert rows[0] is row and len(ring) == 13 and all(inner is ring for inner in ring)
        assert list(words.items()) == [(f"word {x}", {f"{x}"}) for x in range(12)], words
        assert (points["point 0"].x, points["point 1"].x) == (12, 1)
        assert [handlers[x] is double for x in range(12)] == [True] * 12 and counted == {"0": 4, "1": 4, "2": 4}
        assert [type(point) is Point and point.x is row for point in made] == [True] * 12
    begin()
    assert snakefish.map(own_hits, range(4), executor=executor) == [(0, 0)] * 4  # the workers keep nothing
    snakefish.map(lambda x: count(x), range(5), executor=executor, share={"hits": "sum"})
    snakefish.map(lambda point: words.update({point.x: 1}), points.values(), executor=executor, share=["words", "points"])
    assert (hits, words) == (5, {0: 1, 1: 1, 2: 1})
    try:
        snakefish.map(lambda point: point.count(), [Point(7)], executor=executor, share=["hits"])
    except TypeError as error:
        print(str(error).partition(",")[0])
    try:
        snakefish.map(put, range(4), executor=executor, chunksize=2, share=["hits", "words"])
    except snakefish.merge.Conflict as conflict:
        print(conflict)
    assert (hits, words) == (5, {0: 1, 1: 1, 2: 1})
    snakefish.map(put, range(4), executor=executor, chunksize=2, share={"hits": None, "words": "last"})
    assert (hits, words["x"]) == (9, 3)
    for f, failure in ((fail, LookupError), (kill_itself, snakefish.ChildDied)):
        try:
            snakefish.map(f, range(6), executor=executor, chunksize=2, share=["hits"])
        except failure:
            assert hits == 9
        else:
            assert False
    results = snakefish.imap(fail, iter(range(9)), executor=executor, chunksize=2, share=["hits"])
    assert [(next(results), hits) for _ in range(3)] == [(0, 11), (1, 11), (2, 13)]
    try:
        next(results)
    except LookupError as error:
        assert "in fail" in str(error.__cause__) and hits == 13
    print("checked")
"""
LINES = """share: __main__.Point.count uses hits
words['x']: both tasks have put a number there; say "sum" if they count, or "either" if both compute the same, or use a \
Counter or a defaultdict(int). At the fork: ABSENT; the parent has made it 1, chunk 1, arguments 2 to 3 3
checked
"""


@needs("joblib", "cloudpickle")
def test_loky():
    ended = finish_program(start_program(PROGRAM + textwrap.dedent("""
        from joblib.externals import loky
        check(loky.ProcessPoolExecutor(2))
        """)), limit_s=50)
    assert (ended.status, ended.stdout) == (0, LINES), ended.stderr


@needs("mpi4py", "cloudpickle")
@needs_mpi
def test_mpi(tmp_path):
    ended = mpi(3, PROGRAM + MPI_END, tmp_path)
    assert (ended.status, ended.stdout) == (0, f"2\n{LINES}"), ended.stderr


@needs("distributed", "cloudpickle")
def test_dask(tmp_path):
    with dask_cluster(tmp_path, 2) as (file, _):
        ended = finish_program(start_program(PROGRAM + textwrap.dedent("""
            import sys
            from distributed import Client

            if __name__ == "__main__":
                with Client(scheduler_file=sys.argv[1], set_as_default=False) as client:
                    client.wait_for_workers(2, timeout=60)
                    check(client.get_executor())
            """), file), limit_s=55)
    assert (ended.status, ended.stdout) == (0, LINES), ended.stderr


@needs("distributed", "cloudpickle")
def test_dask_whose_workers_are_threads_of_the_program(tmp_path):
    ended = finish_program(start_program(PROGRAM + textwrap.dedent("""
        from distributed import Client

        begin()
        if __name__ == "__main__":
            with Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=None, set_as_default=False,
                        local_directory=os.environ["TMPDIR"]) as client:
                executor = client.get_executor()
                print(snakefish.map(own_hits, range(2), executor=executor))
                for call in snakefish.map, snakefish.imap:
                    try:
                        print(list(call(count, range(3), executor=executor, share=["hits"])))
                    except ValueError as error:
                        print(str(error).partition(":")[0], hits)
        """), env={"TMPDIR": tmp_path}, options=["-W", "ignore"]), limit_s=55)
    refused = "share= does not go with an executor whose workers are threads of this process 0\n"
    assert (ended.status, ended.stdout) == (0, "[(0, 0), (0, 0)]\n" + 2 * refused), ended.stderr
