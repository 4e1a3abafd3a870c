"""explain finds the globals that a function changes, however its code reaches them, and no others."""
import bisect
import collections
import dataclasses
import functools
import heapq
import logging
import operator
import queue as queues
import random

import pytest

from snakefish import merge

hits, flag, best = 0, False, None
words, log, seen, rows, heap, queue = {}, [], set(), [[0]], [], collections.deque()
CASES = []


def changes(*names):
    def remember(f):
        CASES.append(pytest.param(f, set(names), id=f.__name__))
        return f
    return remember


class Account:
    total = 0

    def __init__(self):
        self.n, self.items, self.inner = 0, [], {"a": [1]}

    def enter(self, item):
        self.items.append(item)

    def balance(self):
        return self.n + len(self.items)

    def update(self):
        return self.n

    @classmethod
    def count(cls):
        cls.total += 1

    @staticmethod
    def notice(item):
        seen.add(item)

    def __call__(self, item):
        self.items[0] = item

    def __iadd__(self, n):
        self.n += n
        return self


class Counting:
    def __init__(self):
        count(1)


account, logger, orders = Account(), logging.getLogger("merge code"), queues.Queue()


def count(n):
    global hits
    hits += n


def put(where, value):
    where["a"] = value


def the_words():
    return words


def logged(f):
    @functools.wraps(f)
    def wrapper(*arguments):
        log.append(f)
        return f(*arguments)
    return wrapper


def logged_without_wraps(f):
    def wrapper(*arguments):
        log.append(f)
        return f(*arguments)
    return wrapper


# ---- names ----

@changes("hits")
def augmented():
    global hits
    hits += 1


@changes("hits", "flag", "best")
def stores_of_other_statements():
    global hits, flag, best
    for hits in range(3):
        pass
    with open("/dev/null") as flag:
        pass
    if (best := 3):
        pass


@changes("hits", "flag", "best")
def unpacked_imported_and_defined():
    global hits, flag, best
    _, hits = 1, 2
    import os as flag  # noqa: F401

    def best():
        pass


@changes("flag")
def declared_in_an_inner_function():
    def inner():
        def innermost():
            global flag
            flag = True
        innermost()
    inner()


@changes("flag")
def declared_in_a_class():
    class X:
        global flag
        flag = 1


@changes("words", "flag")
def by_globals():
    globals()["words"] = 1
    globals()["flag"] = 1


# ---- in place ----

@changes("words", "log", "queue")
def items():
    words["a"] = words.get("a", 0) + 1
    queue[0] += 1
    log[1:2] = []


@changes("words", "log")
def items_in_other_statements():
    for words["a"] in range(3):
        del log[:]


@changes("log", "seen", "heap")
def methods():
    log.sort(key=len, reverse=True)
    seen.update(*heap)
    heap.__setitem__(0, 1)


@changes("seen", "log")
def in_place_operators():
    global seen, log
    seen |= {1}
    log *= 2


@changes("heap", "log", "queue", "words", "account")
def functions_that_change_their_argument():
    heapq.heappush(heap, 1)
    bisect.insort(log, 1)
    random.shuffle(queue)
    operator.setitem(words, "a", 1)
    setattr(account, "n", 1)


@changes("words", "log")
def conditions(n=0):
    (words if n else {}).update(a=1)
    (n or log).append(1 if 0 < hits < n else 2)


@changes("log")
def handlers():
    entries = log
    try:
        1 / 0
    except ZeroDivisionError:
        entries.append(f"{hits!r:>3}")


@changes("log")
async def coroutine():
    log.append(await coroutine())


@changes("log")
def generator():
    log.append((yield 1))
    yield from log


# ---- parts ----

@changes("words")
def nested():
    words.setdefault("a", []).append(1)


@changes("words")
def found_by_get():
    words.get("a").append(1)


@changes("account")
def attributes_of_attributes():
    account.inner["a"][0] += 1


@changes("rows")
def loop():
    for row in rows:
        for i in range(3):
            row[i] += 1


@changes("rows", "words", "queue")
def loops_over_what_has_the_parts():
    for i, row in enumerate(rows):
        row[i] = 1
    for key, value in words.items():
        value[key] = 1
    for a, b in zip(queue, [1, 2]):
        a.append(b)


@changes("rows")
def comprehension():
    [row.append(1) for row in rows]


@changes("words")
def generator_expression():
    return all(value.append(1) for value in words.values() if value)


@changes("rows")
def unpacked():
    first, *others = rows
    others[0].append(first)


@changes("rows", "words")
def in_a_new_container():
    for part in [rows, *words.values()]:
        part.append(1)


# ---- other names ----

@changes("words")
def local_name():
    w = words["a"]
    w["b"] = 1


@changes("words")
def local_name_in_one_branch(n=0):
    w = words if n else {}
    w["a"] = 1


@changes("log")
def local_name_changed_in_place():
    entries = log
    entries += [1]


@changes("log")
def bound_method():
    add = log.append
    for i in range(3):
        add(i)


@changes("log")
def closure():
    entries = log

    def inner():
        entries.append(1)
    inner()


@changes("words")
def default(w=words):
    w["a"] = 1


@changes("words")
def argument():
    put(words, value=1)


@changes("words")
def keyword():
    put(value=1, where=words)


@changes("words")
def what_a_function_returns():
    the_words()["a"] = 1


@changes("rows")
def argument_of_lambda():
    list(map(lambda row: row.append(1), rows))


# ---- calls ----

@changes("hits")
def handed_on():
    list(map(count, [1, 2]))


@changes("hits", "words")
def partials():
    functools.partial(count, 1)()
    functools.partial(put, words)(1)


@changes("hits")
def constructor():
    Counting()


@changes("account", "Account", "seen")
def own_methods():
    account.enter(3)
    Account.count()
    account.notice(1)


@changes("orders", "account")
def methods_of_other_modules():
    logger.warning("its caches are its own")
    orders.put(1)
    random.Random.seed(account, 1)


@changes("account")
def object_that_is_called():
    account(1)


@changes("hits")
def method_of_a_new_object():
    class Local:
        def go(self):
            count(1)
    Local().go()


@changes("log", "seen")
@logged
def decorated(n):
    seen.add(n)


@changes("log", "seen")
@logged_without_wraps
def decorated_without_wraps(n):
    seen.add(n)


@changes("log", "seen")
def calls_what_is_decorated():
    decorated(1)


@changes("random:spare", "os:environ")
def other_modules():
    import os
    random.spare = 1
    os.environ["A"] = "1"


# ---- nothing ----

@changes()
def copies():
    for copy in (dict(words), words.copy(), {**words}):
        copy["a"] = 1
    for copy in (log[:], list(log), sorted(log), log + [1], [row for row in rows], [*rows]):
        copy.append(1)
    union = seen | {1}
    union.add(2)


@changes()
def locals_of_the_same_name():
    hits, log = 0, []
    hits += 1
    log.append(1)


@changes()
def a_name_that_gets_something_else():
    w = words
    w = {}
    w["a"] = 1


@changes()
def numbers():
    n = hits
    n += 1
    return n


@changes()
def reads():
    found, by_key = [], {}
    for row in rows:
        found.append(row[0])
    for key, value in words.items():
        by_key[key] = value
    return found, by_key, [entry for entry in log if entry in seen], max(log), account.balance(), account.update()


@pytest.mark.parametrize("f, names", CASES)
def test_the_globals_that_it_changes_are_found(f, names):
    assert set(merge.explain(f).unshared) == names


def test_callables_that_are_no_functions():
    for f, names in ((account, {"account"}), (account.enter, {"account"}), (Counting, {"hits"}),
                     (functools.partial(put, words), {"words"}), (functools.partial(logged(count), 1), {"log", "hits"})):
        assert set(merge.explain(f).unshared) == names, f


def test_a_shared_global_of_another_module_is_not_told():
    random.spare = 0
    try:
        assert set(merge.explain(other_modules, ["random:spare"]).unshared) == {"os:environ"}
    finally:
        del random.spare


def test_functions_that_call_themselves_and_each_other_come_to_an_end():
    def walk(node):
        for child in node.get("children", ()):
            walk(child)
        node["seen"] = True
        back(node)

    def back(node):
        walk(node)
        return walk(words)

    assert set(merge.explain(back).unshared) == {"words"}


@pytest.mark.parametrize("module", [dataclasses, functools, heapq])
def test_any_function_can_be_read(module):
    for function in filter(callable, vars(module).values()):
        assert isinstance(merge.explain(function, globals=vars(module)).unshared, dict)
