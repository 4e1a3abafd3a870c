"""A signal handler that interrupts a wait for results at any instruction, and waits itself, or raises.

The handler is called by a trace function, so that it comes at each instruction of Python once, those of the standard
library's concurrent.futures and threading included."""
import pytest
from conftest import PYPY, check_the_program

pytestmark = pytest.mark.skipif(PYPY, reason="PyPy's trace functions see other instructions")

BEGIN = """
import sys, time
from concurrent.futures import as_completed, wait
import snakefish
import snakefish._executor_future

def call_at(instruction, handler, call):
    \"\"\"Whether there were so many.\"\"\"
    count = 0
    def trace(frame, event, _):
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            count += 1
            if count == instruction:
                handler()
        return trace
    sys.settrace(trace)
    try:
        call()
    except (KeyboardInterrupt, RuntimeError):  # of threading: it may release what an exception has kept from being taken
        pass
    finally:
        sys.settrace(None)
    return count >= instruction

def interrupt():
    raise KeyboardInterrupt
"""

WAITS = {
    "result": "future.result()",
    "exception": "future.exception()",
    "result in time": "future.result(60)",
    "wait": "wait([future, done])",
    "as_completed": "list(as_completed([future, done]))",
    "map": "list(e.map(time.sleep, [TASK_S] * 2))",
}


@pytest.mark.parametrize("call", WAITS)
def test_a_handler_at_any_instruction_of_a_wait_may_wait_for_results(call):
    """The manager brings the same future's result, and others'."""
    assert check_the_program(BEGIN + f"""
TASK_S = 0.001
with snakefish.Executor(1) as e:
    done = e.submit(abs, -1)
    def handler():
        assert future.result() is None and e.submit(abs, -2).result() == 2
    n = 1
    while True:
        future = e.submit(time.sleep, TASK_S)
        if not call_at(n, handler, lambda: {WAITS[call]}):
            break
        assert future.done()
        n += {3 if call in ("wait", "as_completed", "map") else 1}
print("some" if n > 20 else n)
""", limit_s=50) == "some\n"


@pytest.mark.parametrize("call", WAITS)
def test_an_exception_at_any_instruction_of_a_wait_stops_nobody(call):
    """As Ctrl-C raises it. The same future can be waited for again, in each way, and the manager goes on."""
    assert check_the_program(BEGIN + f"""
snakefish._executor_future._PATIENCE_S = 0.01  # there are some instructions after which a lock stays locked
TASK_S = 0.001
with snakefish.Executor(1) as e:
    done = e.submit(abs, -1)
    n = 1
    while True:
        future = e.submit(time.sleep, TASK_S)
        if not call_at(n, interrupt, lambda: {WAITS[call]}):
            break
        assert future.result() is None and future.done() and e.submit(abs, -2).result() == 2
        assert wait([future]).done == {{future}} and list(as_completed([future])) == [future]
        n += {3 if call in ("wait", "as_completed", "map") else 1}
print("some" if n > 20 else n)
""", limit_s=50) == "some\n"


@pytest.mark.parametrize("call", ["wait", "as_completed"])
def test_a_handler_at_any_instruction_of_a_wait_may_cancel_what_it_waits_for(call):
    assert check_the_program(BEGIN + f"""
with snakefish.Executor(1) as e:
    done = e.submit(abs, -1)
    n, cancelled = 1, 0
    while True:
        e.submit(time.sleep, 0.02)
        future = [e.submit(abs, -1) for _ in range(9)][-1]
        reached = call_at(n, future.cancel, lambda: {WAITS[call]})
        if not reached:
            break
        assert future.done()
        cancelled += future.cancelled()
        n += 3
print("some" if cancelled > 5 else cancelled)
""", limit_s=50) == "some\n"


@pytest.mark.parametrize("handler", ["e.shutdown()", "interrupt()"])
def test_a_handler_at_any_instruction_of_shutdown_may_wait_for_it_or_raise(handler):
    assert check_the_program(BEGIN + f"""
n = 1
while True:
    e = snakefish.Executor(1)
    future = e.submit(time.sleep, 0.001)
    reached = call_at(n, lambda: {handler}, e.shutdown)
    e.shutdown()
    assert future.done()
    if not reached:
        break
    n += 7
print("some" if n > 20 else n)
""", limit_s=50) == "some\n"
