"""share_check=True warns when a task has changed a global of its module that nothing brings back."""
import functools
import logging
import random
import sys
import textwrap
import threading
import types
import warnings
from collections import Counter, defaultdict, deque

import pytest
import snakefish
from snakefish import _share_check, _sharing

hits, flag, words, rows, seen = 0, False, {"a": {"b": [1]}}, [[1], [2]], {1}
counts, groups, queue, raw, text = Counter(), defaultdict(list), deque([1]), bytearray(b"ab"), "old"
pair = ([1], 2)


class Account:
    def __init__(self):
        self.items = [[1]]


class Slotted:
    __slots__ = ("n",)


account, slotted = Account(), Slotted()
slotted.n = 1
lock, file, rng = threading.Lock(), sys.stdout, random.Random(1)
logger, space, module = logging.getLogger("share check"), types.SimpleNamespace(n=1), random


@pytest.fixture(autouse=True)
def nothing_was_told():
    _share_check._warned.clear()


def warned(f, *arguments, call=None, **options):
    """{variable} that it warns of, in the parent."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if call:
            call(f, *arguments, share_check=True, **options)
        else:
            with snakefish.Thread(f, args=arguments, share_check=True, **options) as t:
                t.start()
            t.get_result()
    assert all(one.category is RuntimeWarning and one.filename == __file__ for one in caught), caught
    return {str(one.message).partition("global '")[2].partition("'")[0] for one in caught}


def hit(x):
    global hits
    hits += 1
    return x


def test_it_says_what_to_do_and_where():
    with pytest.warns(RuntimeWarning) as caught:
        with snakefish.Thread(hit, args=(1,), share_check=True) as t:
            t.start()
    assert str(caught[0].message) == (f"hit has changed the global 'hits' of module {__name__!r} in its process, and nothing "
                                      "brings it back: share=['hits'] does")
    assert caught[0].filename == __file__


def test_nothing_is_told_without_it():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with snakefish.Thread(hit, args=(1,), share=["words"]) as t:
            t.start()
        with snakefish.Thread(hit, args=(1,), share=["words"], share_check=False) as t:
            t.start()


def test_each_function_and_variable_once():
    def hits_too():
        hit(1)
    assert warned(hit, 1) == {"hits"} and warned(hit, 1) == set()
    assert warned(hits_too) == {"hits"}
    assert warned(functools.partial(hits_too)) == set()


def test_what_is_shared_is_not_told():
    def change():
        hit(1)
        words["n"] = 1
    assert warned(change, share=["hits"]) == {"words"}
    assert warned(change, share=["words"]) == {"hits"}
    _share_check._warned.clear()
    assert warned(change, share=["hits", f"{__name__}:words"]) == set()
    words.pop("n")


def test_an_object_with_two_names_comes_back_by_either(monkeypatch):
    monkeypatch.setitem(globals(), "alias", words["a"])

    def change():
        words["a"]["b"].append(1)
    assert warned(change, share=["words"]) == set() == warned(change, share=["alias"])
    assert len(warned(change)) == 1


CHANGES = {
    "flag": "global flag; flag = True", "text": "global text; text = 'new'", "seen": "seen.add(2)",
    "rows": "rows[1].append(3)", "counts": "counts['a'] += 1", "groups": "groups['a']", "queue": "queue.append(2)",
    "raw": "raw[0] = 1", "account": "account.items[0].append(2)", "slotted": "slotted.n = 2", "pair": "pair[0].append(2)",
    "words": "words['a']['b'].append(2)", "space": "global space; space = None", "fresh": "global fresh; fresh = 1",
    "hit": "global hit; hit = None", "logger": "logger.level = 7", "lock": "global lock; del lock",
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_any_kind_is_found(name):
    namespace = globals()
    exec(f"def change():\n    {CHANGES[name]}\ndef nothing(): pass", namespace)
    change = namespace.pop("change")
    assert warned(namespace.pop("nothing")) == set()
    assert warned(change) == {name}


def test_what_cannot_be_looked_into_is_skipped():
    def change():
        lock.acquire()
        rng.random()
        logger.isEnabledFor(10)  # logging remembers the answer
        random.seed(1)
        global imported
        import os as imported  # noqa: F401
    assert warned(change) == set()


def test_pandas_and_arrays(monkeypatch):
    numpy = pytest.importorskip("numpy")
    monkeypatch.setitem(globals(), "array", numpy.zeros(5))
    monkeypatch.setitem(globals(), "objects", numpy.array([None, {}]))
    try:
        import pandas
        monkeypatch.setitem(globals(), "frame", {"inside": pandas.DataFrame({"a": [1]})})
    except ImportError:
        pass

    def change():
        array[2] = 1  # noqa: F821

    def reshape():
        array.resize(9, refcheck=False)  # noqa: F821
    assert warned(change) == {"array"} and warned(reshape) == {"array"} and warned(lambda: None) == set()
    array.resize(7, refcheck=False)  # noqa: F821
    assert warned(lambda: None) == set()


class Angry(dict):
    def items(self):
        raise OSError("not now")
    __iter__ = keys = values = copy = __len__ = items


def test_a_class_that_raises_is_skipped(monkeypatch):
    monkeypatch.setitem(globals(), "angry", Angry())
    monkeypatch.setitem(globals(), "proxy", type("Proxy", (), {"__getattr__": lambda self, name: 1 // 0,
                                                               "__dict__": property(lambda self: 1 // 0)})())
    assert warned(hit, 1) == {"hits"}


@pytest.mark.parametrize("call", [snakefish.map, snakefish.starmap])
def test_maps(call):
    def f(x):
        return hit(x)
    assert warned(f, [(1,), (2,), (3,)] if call is snakefish.starmap else range(3), 2, 1, call=call) == {"hits"}


def test_generators():
    def numbers():
        yield hit(1)
        seen.add(5)

    def take(f, **options):
        with snakefish.Generator(f, **options) as g:
            g.start()
            assert list(g) == [1]
    assert warned(numbers, call=take) == {"hits", "seen"}


def test_a_warning_that_is_an_error_comes_out_of_join_and_nothing_is_merged():
    def change():
        hit(1)
        seen.add(9)
    before = hits
    t = snakefish.Thread(change, share=["hits"], share_check=True)
    t.start()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="'seen'"):
            t.join()
    t.join()
    assert hits == before


def test_the_record_is_used_again_unless_a_global_or_what_is_shared_has_changed(monkeypatch):
    monkeypatch.setitem(globals(), "alias", [1])

    sharing = _sharing.Sharing(hit, ["rows"], None, None, True, globals(), False)
    first = sharing.fork().watch
    assert sharing.fork().watch is first
    rows.append(words["a"])
    try:
        second = sharing.fork().watch
        assert second is not first and id(words["a"]) in first.index and id(words["a"]) not in second.index
        alias.append(1)  # noqa: F821
        assert sharing.fork().watch is not second
    finally:
        rows.pop()


def test_an_exception_of_f_hides_no_warning():
    def fail():
        hit(1)
        raise OSError
    t = snakefish.Thread(fail, share_check=True)
    t.start()
    with pytest.warns(RuntimeWarning, match="'hits'"):
        t.join()
    with pytest.raises(OSError):
        t.get_result()


def test_it_does_not_go_with_extract():
    for call in (lambda **more: snakefish.Thread(hit, **more), lambda **more: snakefish.map(hit, [1], **more)):
        with pytest.raises(ValueError, match="share_check does not go with extract: nobody can tell what extract brings back"):
            call(extract=lambda g: g["hits"], merge=lambda g, x: None, share_check=True)


def test_the_module_is_that_of_f(tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text(textwrap.dedent("""
        total = 0
        def add():
            global total
            total += 1
    """))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "elsewhere", raising=False)
    import elsewhere

    def here():
        elsewhere.add()
        hit(1)
    assert warned(elsewhere.add) == {"total"}
    assert warned(here) == {"hits"}
    assert warned(lambda: here(), globals={"hits": 1}) == set()
