"""CPython's own tests of executors, with snakefish's Executor in the place of ProcessPoolExecutor: see executor_peers.py."""
import pytest

try:
    import executor_peers
except ModuleNotFoundError as missing:
    if missing.name.partition(".")[0] != "test":
        raise
    pytest.skip("the tests of this Python are not installed (Debian: libpython3.11-testsuite)", allow_module_level=True)

from executor_peers import setUpModule  # noqa: E402, F401

globals().update(executor_peers.TESTS)


def test_each_test_is_run_or_left_out_for_a_reason():
    for mixin in executor_peers.MIXINS:
        otherwise = vars(getattr(executor_peers, mixin, object))
        for name in executor_peers.vars_of(executor_peers.found(mixin)):
            if name.startswith("test_"):
                is_run = getattr(executor_peers.TESTS["Snakefish" + mixin], name) is not None
                assert is_run == (f"{mixin}.{name}" not in executor_peers.LEFT_OUT or name in otherwise)
