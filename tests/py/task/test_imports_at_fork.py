"""Imports that another Python thread is in the midst of when a child is forked."""
import textwrap

import pytest
from conftest import run_the_program

PROGRAM = """
import os, sys, threading, time, warnings
import snakefish
warnings.simplefilter("ignore")
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
parent = os.getpid()
def importing():
    import slow
    return slow.value, slow.made_by == os.getpid(), sys.modules["slow"] is slow
sys.entered = threading.Event()
sys.left = threading.Event()
def enter():
    other = threading.Thread(target=importing)
    other.start()
    sys.entered.wait()
    return other
def leave(other):
    sys.left.set()
    other.join()
    print(importing())
"""

SLOW = """
import os, sys
made_by = os.getpid()
if made_by == sys.modules["__main__"].parent:
    sys.entered.set()
    sys.left.wait()
value = 7
"""


def run(tmp_path, source, modules):
    for name, text in modules.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
    ended = run_the_program(PROGRAM + source, str(tmp_path), limit_s=15)
    assert ended.status == 0, ended
    return ended.stdout.splitlines()


CALLS = {
    "thread": "t = snakefish.Thread(importing); t.start(); t.join(); print(t.get_result())",
    "map": "print(snakefish.map(lambda i: importing(), [1], 1)[0])",
    "executor": "with snakefish.Executor(1) as executor: print(executor.submit(importing).result())",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_child_imports_anew_what_another_thread_was_importing(tmp_path, call):
    program = f"other = enter()\n{CALLS[call]}\nleave(other)\n"
    assert run(tmp_path, program, {"slow.py": SLOW}) == ["(7, True, True)"] * 2


def test_packages_too(tmp_path):
    program = """
def importing():
    import package.slow
    return package.slow.value, package.slow.made_by == os.getpid(), package.first.value
other = enter()
t = snakefish.Thread(importing); t.start(); t.join(); print(t.get_result())
leave(other)
"""
    modules = {"package/__init__.py": "from package import first\nimport package.slow\n", "package/first.py": "value = 1",
               "package/slow.py": SLOW}
    assert run(tmp_path, program, modules) == ["(7, True, 1)"] * 2


def test_a_fork_in_the_midst_of_an_import_lets_both_go_on_while_others_wait_for_it(tmp_path):
    """The main thread imports `forking`, which forks, while another thread waits for that import."""
    program = """
import forking
print(forking.got, forking.after)
other.join()
""".replace("import forking\n", "other = None\nimport forking\nother = forking.other\n", 1)
    forking = """
    import sys, threading, time, os
    import snakefish
    def wait():
        import forking
    other = threading.Thread(target=wait)
    other.start()
    time.sleep(0.3)
    def child():
        import forking, threading
        def again():
            import slow
        thread = threading.Thread(target=again)
        thread.start()
        thread.join()
        return forking.__name__
    t = snakefish.Thread(child)
    t.start()
    t.join()
    got = t.get_result()
    after = 1
    """
    assert run(tmp_path, program, {"forking.py": forking, "slow.py": SLOW}) == ["forking 1"]
