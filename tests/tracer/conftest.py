import os
import pathlib
import signal
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import own_shm  # noqa: E402
from matrix import pytest_collection_modifyitems  # noqa: E402, F401
import tracing  # noqa: E402

own_shm.mount()  # where this user is not allowed to, other programs can disturb
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it, and children would too


@pytest.fixture(autouse=True, scope="session")
def built():
    for binary in tracing.TRACE, tracing.PROGRAM:
        if not os.path.exists(binary):
            pytest.fail(f"{binary} is missing: make tracer tracer-tests")


@pytest.fixture
def db(tmp_path):
    return tmp_path / "run.db"


@pytest.fixture(autouse=True)
def no_session_left():
    """Every session that a test made is gone after it."""
    def sessions():
        return {p for p in pathlib.Path("/dev/shm").glob("snakefish-*")
                if tracing.is_gone(p.name.split("-")[1])}
    before = sessions()
    yield
    assert not sessions() - before
