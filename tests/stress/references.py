"""No call leaks a reference: sys.gettotalrefcount() of a debug build of the interpreter, over the calls of
tests/py/calls.py. Run by the interpreter that the extension under SF_BUILD was built for:

    SF_BUILD=build/dbg python3-dbg tests/stress/references.py

The last line: "N passed, N failed, N skipped".
"""
import gc
import os
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(os.environ.get("SF_BUILD", os.path.join(TOP, "build", "dbg")), "lib"),
                os.path.join(TOP, "tests", "py")]
TIMES = 12


def total():
    gc.collect()
    getattr(sys, "_clear_type_cache", int)()
    return sys.gettotalrefcount()


def growth(call):
    before = total()
    for _ in range(TIMES):
        call()
    return total() - before


def main():
    if not hasattr(sys, "gettotalrefcount"):
        print("skip references: this interpreter does not count its references (python3-dbg does)")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    from calls import CALLS
    failed = 0
    for name, call in CALLS.items():
        grown = [growth(call)]
        while grown[-1] >= TIMES and len(grown) < 8:  # caches grow in the first rounds only
            grown.append(growth(call))
        if grown[-1] >= TIMES:
            failed += 1
            print(f"FAIL {name}: {grown} references in {TIMES} calls each", flush=True)
    print(f"{len(CALLS) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
