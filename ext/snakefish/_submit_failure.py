"""Failures of workers, unpacked by who has submitted to them. Internal; `_submitted.py` has packed them."""

import pickle

from snakefish._child import RemoteTraceback
from snakefish._snakefish import ChildDied
from snakefish._submitted import is_interruption


def died_of(text, cause):
    """A ChildDied."""
    died = ChildDied(text)
    died.__cause__ = cause
    return died


def unpack_failure(failure, what, where):
    """What was raised there, for `what`, with its traceback as its cause."""
    packed, sentence, text = failure
    cause = RemoteTraceback(f"{text.rstrip()}\n(in a worker: {where})")
    if packed is None:
        return died_of(f"a worker ({where}): {sentence}", cause)
    try:
        error = pickle.loads(packed)
    except Exception as reason:
        if is_interruption(reason):
            raise
        return died_of(f"a worker ({where}): what f raised for {what} cannot be unpickled: {reason}", cause)
    error.__cause__ = cause
    return error
