"""timeout=: the time that f may take for one argument, in map, starmap, imap and imap_unordered."""
import os
import random
import re
import signal
import time

import pytest
import snakefish
from conftest import children
from snakefish import imap, imap_unordered, starmap

parallel_map = snakefish.map
NOTHING = {"extract": lambda g: None, "merge": lambda g, extracted: None}
FORMS = {
    "map": lambda f, args, *more, **keywords: parallel_map(f, args, *more, **keywords),
    "starmap": lambda f, args, *more, **keywords: starmap(f, [(x,) for x in args], *more, **keywords),
    "merge": lambda f, args, *more, **keywords: parallel_map(f, args, *more, **NOTHING, **keywords),
    "rounds": lambda f, args, *more, **keywords: parallel_map(f, args, *more, **NOTHING, rounds=True, **keywords),
    "imap": lambda f, args, *more, **keywords: list(imap(f, args, *more, **keywords)),
    "imap_unordered": lambda f, args, *more, **keywords: sorted(imap_unordered(f, args, *more, **keywords)),
}
ALL = pytest.mark.parametrize("form", FORMS)


@pytest.mark.diagonal
@ALL
@pytest.mark.parametrize("chunksize", [1, 3])
@pytest.mark.parametrize("how", ["sleeps", "computes", "hears no signal"])
def test_an_argument_that_takes_too_long_is_named_and_its_worker_is_ended(form, chunksize, how):
    before, began = children(), time.monotonic()

    def work(x):
        if x == 4:
            if how == "hears no signal":
                signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            while how == "computes":
                pass
            time.sleep(60)
        return x

    with pytest.raises(TimeoutError, match=r"^argument 4 took longer than the timeout of 0\.3 s; i?map worker.* was killed$"):
        FORMS[form](work, range(8), 2, chunksize, timeout=0.3)
    assert time.monotonic() - began < 30 and children() == before


@ALL
def test_arguments_in_time_pass_though_all_together_take_longer(form):
    assert FORMS[form](lambda x: time.sleep(0.15) or x, range(10), 1, 10, timeout=1) == list(range(10))


def test_the_default_chunks_of_map_have_timeouts_too():
    with pytest.raises(TimeoutError, match="^argument 5003 took"):
        parallel_map(lambda x: time.sleep(60 if x == 5003 else 0), range(10_000), 2, timeout=0.2)


@pytest.mark.parametrize("form", ["map", "starmap", "merge"])
def test_an_earlier_failure_that_comes_later_is_the_one_that_is_raised(form):
    def work(x):
        if x >= 2:
            time.sleep(60)  # late after 1.6 s
        time.sleep(1)
        if x == 1:
            raise KeyError("the earlier one")  # after 2 s

    with pytest.raises(KeyError, match="the earlier one"):
        FORMS[form](work, range(4), 2, 2, timeout=1.6)


def test_imap_hands_out_what_came_before_the_argument_and_then_nothing():
    got = []
    results = imap(lambda x: time.sleep(60 if x == 3 else 0) or x, range(9), 2, timeout=0.3)
    with pytest.raises(TimeoutError, match="argument 3 took"):
        for x in results:
            got.append(x)
    assert got == [0, 1, 2] and list(results) == []


def test_a_worker_that_waits_for_its_parent_is_not_late():
    """What takes long here is the loop over the results."""
    for x in imap(lambda x: bytes(1 << 20), range(12), 2, timeout=0.2):
        time.sleep(0.1)


@pytest.mark.parametrize("form", ["map", "imap"])
def test_a_copy_of_the_worker_does_not_begin_the_time_anew(form, tmp_path):
    """f forks, and comes back in the copy, which goes on; the worker itself stays in f."""
    def work(x):
        if x == 1 and os.fork():
            (tmp_path / str(os.getpid())).touch()
            time.sleep(60)
        return x

    before = children()
    with pytest.raises(TimeoutError, match="argument 1 took"):
        FORMS[form](work, range(40), 1, 40, timeout=0.4)
    assert children() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("form", ["map", "imap", "merge"])
def test_who_ends_at_the_very_moment_is_in_time_or_late_and_nothing_else(form):
    chance = random.Random(5)
    outcomes = set()
    for _ in range(25):
        naps = [chance.uniform(0.015, 0.021) for _ in range(6)]
        try:
            assert FORMS[form](lambda x: time.sleep(naps[x]) or x, range(6), 2, 2, timeout=0.02) == list(range(6))
            outcomes.add("in time")
        except TimeoutError as late:
            assert re.match(r"argument [0-5] took longer than the timeout of 0\.02 s", str(late))
            outcomes.add("late")
    assert outcomes


@ALL
@pytest.mark.parametrize("value,error,words", [
    ("1", TypeError, "timeout must be a number of seconds or None, not str"), (True, TypeError, "not the bool True"),
    (0, ValueError, "timeout must be more than 0 seconds, not 0: None is for ever"), (-1.5, ValueError, "more than 0"),
    (float("nan"), ValueError, "more than 0"), (10 ** 400, ValueError, "timeout is out of range")])
def test_a_wrong_timeout_is_refused_by_name(form, value, error, words):
    with pytest.raises(error, match=words):
        FORMS[form](abs, [1], timeout=value)


@pytest.mark.diagonal
@ALL
@pytest.mark.parametrize("value", [None, 1e300, float("inf"), 10 ** 12, 30])
def test_none_and_long_timeouts(form, value):
    assert FORMS[form](abs, [-1, -2], timeout=value) == [1, 2]
