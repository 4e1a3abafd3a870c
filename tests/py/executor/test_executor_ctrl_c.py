"""Ctrl-C while an Executor works, as a terminal sends it, to the whole process group, and for the program alone."""
import os
import signal
import time

import pytest
from conftest import finish_program, group_members, settles, start_program

BEGIN = """
import asyncio, os, signal, subprocess, sys, threading, time
from concurrent.futures import as_completed, wait
import snakefish
from snakefish import Executor

def ready():
    os.write(1, b"ready\\n")

def busy():
    while True:
        pass

def in_c():
    sum(range(10**12))

def below():
    with Executor(1) as inner:
        inner.submit(time.sleep, 60).result()

def thread():
    with snakefish.Thread(time.sleep, args=(60,)) as t:
        t.start()

def deaf():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)

def stubborn():
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass

e = Executor(2)
"""
SOON_S = 1.0

PLACES = {
    "result": "f = e.submit(time.sleep, 60)\nready()\nf.result()",
    "result in with": "with e:\n    f = e.submit(time.sleep, 60)\n    ready()\n    f.result()",
    "the end of with": "with e:\n    f = [e.submit(time.sleep, 60) for _ in range(9)]\n    ready()",
    "shutdown": "f = [e.submit(time.sleep, 60) for _ in range(9)]\nready()\ne.shutdown()",
    "map": "results = e.map(time.sleep, [60] * 9)\nready()\nlist(results)",
    "wait": "f = [e.submit(time.sleep, 60) for _ in range(9)]\nready()\nwait(f)",
    "as_completed": "f = [e.submit(time.sleep, 60) for _ in range(9)]\nready()\nlist(as_completed(f))",
    "submit": "e.submit(abs, 1).result()\nready()\nwhile True:\n    wait([e.submit(abs, n) for n in range(100)])",
    "busy itself": "f = [e.submit(time.sleep, 60) for _ in range(9)]\nready()\nbusy()",
    "idle": "e.submit(abs, 1).result()\nready()\ntime.sleep(60)",
    "idle in with": "with e:\n    e.submit(abs, 1).result()\n    ready()\n    time.sleep(60)",
    "asyncio": "async def main():\n    f = asyncio.get_running_loop().run_in_executor(e, time.sleep, 60)\n    ready()\n"
               "    await f\nasyncio.run(main())",
    "after shutdown": "f = e.submit(time.sleep, 60)\ne.shutdown(wait=False)\nready()\ntime.sleep(60)",
    "after it was collected": "f = e.submit(time.sleep, 60)\ndel e\nready()\ntime.sleep(60)",
    "the program's end": "f = [e.submit(time.sleep, 60) for _ in range(9)]\nready()",
}
TASKS = ("busy", "in_c", "below", "thread", "deaf", "stubborn")


def interrupt(source, whole_group):
    """What came of the program that was interrupted, and how long it took."""
    program = start_program(BEGIN + source)
    assert program.stdout.readline() == "ready\n", finish_program(program)
    time.sleep(0.25)
    started = time.monotonic()
    (os.killpg if whole_group else os.kill)(program.pid, signal.SIGINT)
    ended = finish_program(program, 10)  # its workers hold its output
    took = time.monotonic() - started
    assert settles(lambda: group_members(program.pid)) == []
    return ended, took


def check_interrupted(source, whole_group, statuses):
    for left in reversed(range(4)):  # the machine may be busy
        ended, took = interrupt(source, whole_group)
        assert ended.status in statuses and ended.stdout == "", ended
        tracebacks = ended.stderr.count("Traceback (most recent call last)") - ended.stderr.count("During handling of the above")
        assert tracebacks == 1 and "KeyboardInterrupt" in ended.stderr, ended.stderr
        if took < SOON_S:
            return
        assert left, f"it took {took:.2f} s"


@pytest.mark.parametrize("whole_group", [True, False], ids=["group", "alone"])
@pytest.mark.parametrize("place", PLACES)
def test_it_ends_all_within_a_second_with_one_traceback(place, whole_group):
    at_the_end = place == "the program's end"  # the interpreter prints what its own exit raises, and ends by 0
    check_interrupted(PLACES[place], whole_group, (0,) if at_the_end else (-signal.SIGINT, 130))


@pytest.mark.parametrize("whole_group", [True, False], ids=["group", "alone"])
@pytest.mark.parametrize("task", TASKS)
def test_it_ends_workers_whatever_they_do(task, whole_group):
    check_interrupted(f"f = [e.submit({task}) for _ in range(9)]\nready()\nf[0].result()", whole_group, (-signal.SIGINT, 130))


@pytest.mark.parametrize("whole_group", [True, False], ids=["group", "alone"])
def test_who_catches_it_gets_the_result_of_what_was_running(whole_group):
    ended, _ = interrupt("""
def f():
    time.sleep(0.8)
    return "done"
futures = [e.submit(f) for _ in range(3)]
ready()
try:
    futures[0].result()
except KeyboardInterrupt:
    print("interrupted", flush=True)
print(*[f.result() for f in futures], e.submit(abs, -1).result())
""", whole_group)
    assert ended.stdout == "interrupted\ndone done done 1\n" and ended.stderr == "" and ended.status == 0, ended


@pytest.mark.parametrize("whole_group", [True, False], ids=["group", "alone"])
def test_a_program_that_ignores_it_goes_on(whole_group):
    ended, _ = interrupt("""
signal.signal(signal.SIGINT, signal.SIG_IGN)
futures = [e.submit(time.sleep, 0.5) for _ in range(3)]
ready()
print(*[f.result() for f in futures])
""", whole_group)
    assert ended.stdout == "None None None\n" and ended.stderr == "" and ended.status == 0, ended


def test_a_program_that_a_task_runs_is_interrupted_with_the_group():
    ended, took = interrupt("""
f = e.submit(subprocess.call, ["sleep", "60"])
ready()
try:
    f.result()
except KeyboardInterrupt:
    print(f.result())
""", True)
    assert ended.stdout == f"{-signal.SIGINT}\n" and ended.stderr == "" and ended.status == 0, ended


def test_a_second_one_changes_nothing():
    program = start_program(BEGIN + PLACES["the end of with"])
    assert program.stdout.readline() == "ready\n"
    time.sleep(0.25)
    for _ in range(2):
        os.killpg(program.pid, signal.SIGINT)
    ended = finish_program(program, 10)
    assert ended.status in (-signal.SIGINT, 130), ended
    assert settles(lambda: group_members(program.pid)) == []
