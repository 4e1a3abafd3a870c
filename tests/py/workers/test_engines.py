"""Maps on engines that reach past one machine, started here on loopback: Dask, MPI; and loky. Each runs the same program."""
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from conftest import PYPY, environment, finish_program, start_program

NAMES = ("distributed", "mpi4py", "joblib", "cloudpickle")
HAS = {name: not PYPY and importlib.util.find_spec(name) is not None for name in NAMES}  # PyPy finds what is CPython's

# Every engine runs this as __main__: functions go by value. It takes an executor with two workers or more.
PROGRAM = """
import os, time, snakefish

total = new = 0

class Odd(Exception):
    def __init__(self, number, more):
        super().__init__(number)
        self.more = more

def fail_from_5_on(x):
    if x >= 5:
        raise Odd(x, "more")
    return x

def count(x):
    global new
    new += x
    return os.getpid()

def merge(g, extracted):
    g["total"] += extracted
    order.append(extracted)

def pid_of(x):
    time.sleep(0.1)
    return os.getpid()

def kill_itself(x):
    if x == 1:
        os.kill(os.getpid(), 9)
    return x

order = []

def check(executor):
    factor = 3
    assert snakefish.map(lambda x: factor * x, range(100), executor=executor) == [3 * x for x in range(100)]
    assert snakefish.starmap(pow, [(2, 3), (3, 2)], executor=executor) == [8, 9]
    assert list(snakefish.imap(lambda x: x + factor, iter(range(20)), executor=executor)) == list(range(3, 23))
    assert sorted(snakefish.imap_unordered(abs, range(20), executor=executor, chunksize=3)) == list(range(20))
    told = []
    snakefish.map(abs, range(8), executor=executor, chunksize=3, progress=lambda *both: told.append(both))
    assert told[-1] == (8, 8) and len(told) == 3, told
    got = []
    try:
        for x in snakefish.imap(fail_from_5_on, range(9), executor=executor, chunksize=2):
            got.append(x)
    except Odd as error:
        assert error.args == (5,) and error.more == "more" and got == [0, 1, 2, 3, 4], (error.args, got)
        assert "in fail_from_5_on" in str(error.__cause__), error.__cause__
    else:
        assert False, got
    for _ in range(2):  # the workers keep nothing
        pids = snakefish.map(count, range(10), lambda g: g["new"], merge, executor=executor, chunksize=5)
        assert len(set(pids)) == 2 and os.getpid() not in pids
    assert total == 90 and new == 0 and order == [10, 35] * 2, (total, new, order)
    pids = snakefish.map(pid_of, range(6), executor=executor, chunksize=6, local=3)
    assert len(set(pids)) > 1, pids
    try:
        snakefish.map(kill_itself, range(4), executor=executor, chunksize=2, local=2)
    except snakefish.ChildDied as error:
        assert "killed by signal 9" in str(error), error
    else:
        assert False
    print("checked")
"""


def needs(*names):
    missing = [name for name in names if not HAS[name]]
    return pytest.mark.skipif(bool(missing), reason=f"this Python has no {', '.join(missing)}")


@needs("joblib", "cloudpickle")
def test_loky():
    ended = finish_program(start_program(PROGRAM + textwrap.dedent("""
        from joblib.externals import loky
        executor = loky.ProcessPoolExecutor(2)
        check(executor)
        try:
            snakefish.map(kill_itself, [1], executor=executor)
        except snakefish.ChildDied as error:
            print(error, "because", error.__cause__)
        """)), limit_s=50)
    assert ended.status == 0 and ended.stdout.startswith("checked\n"), ended.stderr
    assert "died before it had sent its results for chunk 0, arguments 0 to 0 because" in ended.stdout
    assert "{SIGKILL(-9)}" in ended.stdout


# ---- MPI ----


def mpi(ranks, source, tmp_path, limit_s=50):
    """Runs a program on so many ranks of this machine. The first one is the program, the others are its workers."""
    (tmp_path / "program.py").write_text(textwrap.dedent(source))
    command = ["mpiexec", "--allow-run-as-root", "--oversubscribe", "-n", str(ranks), sys.executable, "-m", "mpi4py.futures",
               str(tmp_path / "program.py")]
    env = environment(TMPDIR=str(tmp_path), OMPI_MCA_btl_base_warn_component_unused="0")
    return finish_program(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                           start_new_session=True), limit_s)


needs_mpi = pytest.mark.skipif(not shutil.which("mpiexec"), reason="mpiexec is not installed")
MPI_END = """
from mpi4py.futures import MPIPoolExecutor
if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        from snakefish import _submit
        print(_submit.count_workers(executor))
        check(executor)
"""


@needs("mpi4py", "cloudpickle")
@needs_mpi
@pytest.mark.parametrize("ranks", [2, 4])
def test_mpi(tmp_path, ranks):
    ended = mpi(ranks, PROGRAM + MPI_END, tmp_path)
    assert (ended.status, ended.stdout) == (0, f"{ranks - 1}\nchecked\n"), ended.stderr


@needs("mpi4py", "cloudpickle")
@needs_mpi
def test_the_death_of_a_rank_ends_all_of_them_as_mpi_has_it(tmp_path):
    ended = mpi(2, PROGRAM + """
from mpi4py.futures import MPIPoolExecutor
if __name__ == "__main__":
    with MPIPoolExecutor() as executor:
        snakefish.map(kill_itself, [0, 1], executor=executor)
        print("not here")
""", tmp_path)
    assert ended.status != 0 and ended.stdout == "" and "killed" in ended.stderr.lower()


# ---- Dask ----


@contextlib.contextmanager
def dask_cluster(folder, workers):
    """A scheduler and so many workers, each a process with one thread. Yields (the scheduler's address file, the workers)."""
    file = str(folder / "scheduler.json")
    env = environment(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1")
    common = {"env": env, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = [subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0",
                                 "--no-dashboard", "--scheduler-file", file], **common)]
    try:
        started += [subprocess.Popen([sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", file,
                                      "--nthreads", "1", "--no-dashboard", "--no-nanny", "--host", "127.0.0.1",
                                      "--death-timeout", "60", "--local-directory", str(folder)], **common)
                    for _ in range(workers)]
        while not os.path.exists(file):
            assert started[0].poll() is None, "the scheduler has ended"
            time.sleep(0.05)
        yield file, started[1:]
    finally:
        for process in started:
            process.kill()
        for process in started:
            process.wait()


DASK = PROGRAM + """
import signal, sys
from distributed import Client

if __name__ == "__main__":
    client = Client(scheduler_file=sys.argv[1], set_as_default=False)
    client.wait_for_workers(3, timeout=60)
    executor = client.get_executor()
    try:
        snakefish.map(abs, [1], executor=client)
    except TypeError as error:
        print(error)
    check(executor)

    def work(x):
        if x == 3:
            os.kill(victim, signal.SIGKILL)
        time.sleep(0.05)
        return os.getpid()

    victim = int(sys.argv[2])
    pids = snakefish.map(work, range(30), executor=executor, chunksize=1)
    print(len(pids), len(set(pids) - {victim}))
    try:
        snakefish.map(kill_itself, range(3), executor=executor, chunksize=1)
    except snakefish.ChildDied as error:
        print(type(error.__cause__).__name__, error)
    os._exit(0)  # no worker is left, and the client would wait for them
"""


@needs("distributed", "cloudpickle")
def test_dask_also_when_workers_die(tmp_path):
    with dask_cluster(tmp_path, 3) as (file, workers):
        ended = finish_program(start_program(DASK, file, workers[0].pid), limit_s=55)
        died = [worker.poll() for worker in workers]
    lines = ended.stdout.splitlines()
    assert lines[:3] == ["executor must be a concurrent.futures.Executor, not Client: of a Dask client write "
                         "executor=client.get_executor()", "checked", "30 2"], ended.stderr
    assert lines[3] == ("KilledWorker a worker of the ClientExecutor died before it had sent its results for chunk 1, "
                        "arguments 1 to 1")
    assert died == [-signal.SIGKILL] * 3
