"""Leaks of memory, references, descriptors, mappings and children: every method is called in a loop."""
import gc
from pathlib import Path

import pytest
from conftest import PYPY, children, descriptors
from matrix import first

import snakefish
from snakefish import Channel, Generator, Thread


def forever():
    while True:
        yield 1


def memory_kib():
    return int(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])


def tasks():
    with Thread(lambda: [1] * 100, lambda g: 1, lambda g, e: None) as task:
        task.start()
    task.get_result()
    with Generator(forever) as generator:
        generator.start()
        generator.next()
    with Channel(4096) as channel:
        channel.send_pyobj(1)
        channel.receive_pyobj()


def workers():
    snakefish.map(abs, [1, 2], 2)
    with snakefish.Executor(1) as executor:
        assert executor.submit(abs, -1).result() == 1 and list(executor.map(abs, [-1])) == [1]


@pytest.mark.parametrize("rounds", first(1, [60, 150]))  # what leaves one object in a round is found in 60
@pytest.mark.parametrize("one_round", [tasks, workers])
def test_hundreds_one_after_the_other_leave_nothing(one_round, rounds):
    for _ in range(20):
        one_round()
    gc.collect()
    before = memory_kib(), len(Path("/proc/self/maps").read_text().splitlines()), len(descriptors()), len(gc.get_objects())
    for _ in range(rounds):
        one_round()
    gc.collect()
    after = memory_kib(), len(Path("/proc/self/maps").read_text().splitlines()), len(descriptors()), len(gc.get_objects())
    if not PYPY:  # on PyPy memory also grows by code that the JIT makes
        assert after[0] - before[0] < 2000
    assert after[1] - before[1] <= 2 and after[2] == before[2]
    assert after[3] - before[3] < 50
    assert children() == set()


@pytest.mark.skipif(PYPY, reason="PyPy counts no references and no blocks")
def test_no_call_leaks_a_reference(check_program):
    """Blocks of the interpreter's allocator, which small objects come from, before and after many calls; caches
    grow in the first rounds, and not for ever."""
    out = check_program("""
        import gc, sys
        from calls import CALLS
        def allocated():
            gc.collect()
            getattr(sys, "_clear_type_cache", int)()  # that cache holds up to thousands of attribute names
            return sys.getallocatedblocks()
        def blocks(call, times):
            before = allocated()
            for _ in range(times):
                call()
            return allocated() - before
        for name, call in CALLS.items():
            grown = [blocks(call, 12)]
            while grown[-1] > 8 and len(grown) < 8:
                grown.append(blocks(call, 12))
            if grown[-1] > 8:
                print(name, grown)
        """, limit_s=55)
    assert out == "", "one for each call would be 12"


def test_failures_leak_neither():
    class OwnError(Exception):
        pass

    def failing(_=0):
        raise OwnError("x" * 1000)

    def one_round():
        with Thread(failing) as task:
            task.start()
        for call in (task.get_result, task.start, lambda: Thread(1), lambda: Channel(1), lambda: snakefish.map(failing, [1]),
                     lambda: snakefish.map(failing, [1], extract=len, merge=len), lambda: task.join(-1),
                     lambda: Generator(len)):
            try:
                call()
            except (OwnError, RuntimeError, TypeError, ValueError):
                pass
        with Channel(1024) as channel:
            for call in (lambda: channel.send_pyobj(b"x" * 4000), lambda: channel.receive_pyobj(False),
                         lambda: channel.send_pyobj(lambda: 1)):
                try:
                    call()
                except Exception:
                    pass

    for _ in range(20):
        one_round()
    gc.collect()
    before = memory_kib(), len(gc.get_objects())
    for _ in range(100):
        one_round()
    gc.collect()
    assert memory_kib() - before[0] < 2000 and len(gc.get_objects()) - before[1] < 50
