"""Garbage in children: the collector of a child frees what the child made, and skips what it inherited."""
import gc

import pytest
import snakefish
from conftest import PYPY

pytestmark = pytest.mark.skipif(PYPY, reason="PyPy has no gc.freeze")

PROGRAM = """
import gc, os, snakefish
gc.disable()

class Node:
    def __init__(self, name):
        self.name, self.me = name, self
    def __del__(self):
        print(self.name, "by the", "parent" if os.getpid() == parent else "child", flush=True)

parent = os.getpid()
Node("inherited")  # a cycle: garbage at once, which only the collector frees
"""


def collected_in(start, check_program):
    return check_program(PROGRAM + """
def child():
    Node("made in the child")
    gc.collect()
""" + start + """
gc.collect()
""")


@pytest.mark.parametrize("start", [
    "with snakefish.Thread(child) as t: t.start()",
    "snakefish.map(lambda _: child(), [1])",
    "with snakefish.Generator(lambda: (yield child())) as g: g.start(); g.next()",
    "list(snakefish.imap(lambda _: child(), [1]))",
], ids=["Thread", "map", "Generator", "imap"])
def test_a_child_collects_its_own_garbage_and_leaves_its_parents_to_the_parent(start, check_program):
    assert collected_in(start, check_program) == "made in the child by the child\ninherited by the parent\n"


def test_what_a_child_inherited_can_be_given_back_to_its_collector(check_program):
    assert check_program(PROGRAM + """
def child():
    gc.unfreeze()
    gc.collect()

with snakefish.Thread(child) as t:
    t.start()
""") == "inherited by the child\ninherited by the parent\n"


def test_the_parents_collector_goes_on_as_before():
    before = gc.get_freeze_count()
    with snakefish.Thread(gc.get_freeze_count) as thread:
        thread.start()
    assert thread.get_result() > gc.get_freeze_count() == before


def test_a_childs_full_collections_do_not_visit_what_it_inherited(check_program):
    """gc.get_objects() lists what a full collection visits."""
    assert check_program("""
import gc, snakefish
many = [[] for _ in range(200_000)]
with snakefish.Thread(lambda: len(gc.get_objects()) < len(many)) as t:
    t.start()
print(t.get_result(), len(gc.get_objects()) > len(many))
""") == "True True\n"
