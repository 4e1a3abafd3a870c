"""snakefish together with multiprocessing, concurrent.futures and subprocess: used before, inside and around a child."""
import pytest

# Each test is a program of its own, because queues have feeder threads and pools have handlers, which stay.
QUIET = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n"


def test_daemon_processes_of_the_parent_survive_a_childs_end(check_program):
    assert check_program("""
        import multiprocessing, time, snakefish
        daemon = multiprocessing.Process(target=time.sleep, args=(60,), daemon=True)
        daemon.start()
        def f(_=0):
            return multiprocessing.active_children()
        def g():
            yield f()
        with snakefish.Thread(f) as t, snakefish.Generator(g) as it:
            t.start()
            it.start()
            print(t.join(), t.get_result(), it.next(), snakefish.map(f, [1]))
        print(daemon.is_alive())
        """) == "None [] [] [[]]\nTrue\n"


def test_a_child_knows_its_parent_and_itself(check_program):
    assert check_program("""
        import multiprocessing, os, threading, snakefish
        def look():
            parent = multiprocessing.parent_process()
            return [parent.pid == os.getppid(), parent.name, multiprocessing.current_process().name,
                    not hasattr(threading, "get_native_id")
                    or threading.main_thread().native_id == threading.get_native_id(),
                    parent.is_alive() if hasattr(os, "pidfd_open") else True]
        def inside():
            with snakefish.Thread(look, name="inner") as t:
                t.start()
                t.join()
                return look() + t.get_result()
        with snakefish.Thread(inside, name="outer") as t:
            t.start()
            t.join()
            print(*t.get_result())
        """) == "True MainProcess outer True True True outer inner True True\n"


def test_a_queue_made_before_carries_what_a_child_put_at_its_very_end(check_program):
    assert check_program(QUIET + """
import multiprocessing, snakefish
queue = multiprocessing.Queue()
def put():
    for i in range(2000):
        queue.put("x" * 50)
with snakefish.Thread(put) as t:
    t.start()
    print(sum(len(queue.get(timeout=20)) for _ in range(2000)))
""") == "100000\n"


def test_locks_pipes_values_and_events_made_before_work_in_both(check_program):
    assert check_program("""
        import multiprocessing, snakefish
        lock, value, event = multiprocessing.Lock(), multiprocessing.Value("i", 0), multiprocessing.Event()
        ours, theirs = multiprocessing.Pipe()
        def work(n):
            for _ in range(500):
                with lock:
                    value.value += 1
            return n
        snakefish.map(work, range(4), 4)
        with snakefish.Thread(lambda: (theirs.send("piped"), event.wait(20))) as t:
            t.start()
            print(ours.recv(), value.value)
            event.set()
        print(t.get_result())
        """) == "piped 2000\n(None, True)\n"


def test_a_pool_made_before_and_one_made_inside_both_work(check_program):
    assert check_program(QUIET + """
import multiprocessing, snakefish
def inside():
    with multiprocessing.Pool(2) as pool:
        return pool.map(abs, [-1, -2, -3])
with multiprocessing.Pool(2) as outside:
    before = outside.map(abs, [-4])
    with snakefish.Thread(inside) as t:
        t.start()
    print(before, t.get_result(), outside.map(abs, [-5, -6]))
""") == "[4] [1, 2, 3] [5, 6]\n"


def test_a_manager_works_in_both(check_program):
    assert check_program("""
        import multiprocessing, snakefish
        with multiprocessing.Manager() as manager:
            shared = manager.dict()
            with snakefish.Thread(lambda: shared.update(a=1)) as t:
                t.start()
            print(dict(shared))
        """) == "{'a': 1}\n"


def test_processes_made_inside_a_child_are_joined_by_it_and_daemons_ended(check_program):
    out = check_program("""
        import multiprocessing, time, snakefish
        def say(word, seconds):
            time.sleep(seconds)
            print(word, flush=True)
        def f():
            multiprocessing.Process(target=say, args=("joined", 0.3)).start()
            multiprocessing.Process(target=say, args=("never", 30), daemon=True).start()
            return multiprocessing.current_process().name
        with snakefish.Thread(f, name="the child") as t:
            t.start()
        print(t.get_result())
        """)
    assert out == "joined\nthe child\n"


def test_threads_and_channels_work_inside_a_process_of_multiprocessing(check_program):
    assert check_program("""
        import multiprocessing, snakefish
        channel = snakefish.Channel(4096)
        def inner():
            channel.send_pyobj("from the inside")
            return 7
        def process():
            with snakefish.Thread(inner) as t:
                t.start()
            print(t.get_result(), snakefish.map(abs, [-1, -2], 2), flush=True)
        p = multiprocessing.get_context("fork").Process(target=process)
        p.start()
        print(channel.receive_pyobj(), flush=True)
        p.join()
        print(p.exitcode)
        """).splitlines()[-1] == "0"


@pytest.mark.parametrize("pool", ["ThreadPoolExecutor", "ProcessPoolExecutor"])
def test_executors_before_and_inside(check_program, pool):
    assert check_program(QUIET + f"""
import concurrent.futures, snakefish
def use(_=0):
    with concurrent.futures.{pool}(2) as executor:
        return list(executor.map(abs, [-1, -2]))
with concurrent.futures.{pool}(2) as executor:
    list(executor.map(abs, [1, 2]))
    with snakefish.Thread(use) as t:
        t.start()
    print(t.get_result(), snakefish.map(use, [1]), list(executor.map(abs, [-3])))
""") == "[1, 2] [[1, 2]] [3]\n"


def test_threads_of_an_executor_may_start_threads(check_program):
    assert check_program(QUIET + """
import concurrent.futures, snakefish
def work(n):
    with snakefish.Thread(lambda: n * n) as t:
        t.start()
    return t.get_result()
with concurrent.futures.ThreadPoolExecutor(4) as executor:
    print(list(executor.map(work, range(20))) == [n * n for n in range(20)])
""") == "True\n"


def test_subprocesses_of_a_child_work_and_inherit_no_descriptor(check_program):
    assert check_program("""
        import subprocess, sys, snakefish
        def f():
            code = "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1])"
            return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, close_fds=False).stdout
        other = snakefish.Thread(lambda: 1)
        other.start()
        with snakefish.Channel(4096) as channel, snakefish.Thread(f) as t:
            t.start()
        other.join()
        print(t.get_result(), end="")
        """) == "['0', '1', '2']\n"
