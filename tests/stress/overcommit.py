"""Without overcommit (vm.overcommit_memory=2), a channel that the machine cannot promise is a MemoryError, and the
program goes on. The setting is the whole machine's, so it is changed for a second only, and restored whatever happens.
Needs root.

    python3 tests/stress/overcommit.py

The last line: "N passed, N failed, N skipped".
"""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SETTING = "/proc/sys/vm/overcommit_memory"
PROGRAM = """
import snakefish
from everything import everything, right
assert everything() == right
limit = int(next(line for line in open("/proc/meminfo") if line.startswith("CommitLimit")).split()[1])
try:
    snakefish.Channel(limit << 10)
except MemoryError as error:
    print("MemoryError", "Channel" in str(error))
assert everything() == right
"""


def meminfo(what):
    with open("/proc/meminfo") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(what + ":"))


def skip(reason):
    print(f"skip overcommit: {reason}\n0 passed, 0 failed, 1 skipped")
    return 0


def main():
    with open(SETTING) as setting:
        before = setting.read()
    if before.strip() == "2":
        restorer = None
    else:
        if 3 * meminfo("Committed_AS") > meminfo("CommitLimit"):
            return skip("other programs have been promised too much to change vm.overcommit_memory under them")
        waiting, held = os.pipe()
        restorer = os.fork()
        if restorer == 0:  # puts it back when this program has ended, however it ends
            os.close(held)
            os.setsid()
            os.read(waiting, 1)
            with open(SETTING, "w") as setting:
                setting.write(before)
            os._exit(0)
        os.close(waiting)
    build = os.environ.get("SF_BUILD", os.path.join(TOP, "build"))
    places = [os.path.join(build, "lib"), os.path.join(TOP, "tests", "py")]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(places))
    try:
        if restorer:
            try:
                with open(SETTING, "w") as setting:
                    setting.write("2")
            except OSError as error:
                return skip(f"vm.overcommit_memory cannot be set here: {error.strerror}")
        ended = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, timeout=20)
    finally:
        if restorer:
            os.close(held)
            os.waitpid(restorer, 0)
    with open(SETTING) as setting:
        restored = setting.read() == before
    right = ended.returncode == 0 and ended.stdout == "MemoryError True\n" and restored
    print("ok overcommit" if right else f"FAIL overcommit: restored {restored}\n{ended.stdout}")
    print(f"{right:d} passed, {not right:d} failed, 0 skipped")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
