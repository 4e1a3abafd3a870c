"""Two names of one object are two names of one object after a merge, and cycles stay cycles."""
import copy
from collections import defaultdict

from merging import Fork, shape


class Node:
    def __init__(self, name, after=None):
        self.name, self.after, self.weight = name, after, 0


def test_a_change_through_two_names_is_made_once():
    shared = [1]
    variables = {"a": shared, "b": {"inside": shared}, "c": (shared, 1)}
    fork = Fork(variables)
    fork.child["a"].append(2)
    fork.child["b"]["inside"].append(3)
    variables["a"].append("p")
    fork.join()
    assert variables["a"] == [1, "p", 2, 3] and variables["a"] is shared
    assert variables["b"]["inside"] is shared and variables["c"][0] is shared


def test_a_new_name_of_an_old_object_refers_to_the_parents():
    variables = {"a": {"k": [1]}, "b": [], "n": 1}
    inner = variables["a"]["k"]
    fork = Fork(variables)
    fork.child["b"].append(fork.child["a"]["k"])
    fork.child["n"] = fork.child["a"]
    fork.join()
    assert variables["b"][0] is inner and variables["n"] is variables["a"]


def test_what_is_moved_is_the_same_object_with_the_changes_of_both():
    variables = {"old": {"k": [1]}, "new": {}}
    inner = variables["old"]["k"]
    fork = Fork(variables)
    fork.child["new"]["k"] = fork.child["old"].pop("k")
    fork.child["new"]["k"].append("c")
    inner.append("p")
    fork.join()
    assert variables == {"old": {}, "new": {"k": [1, "p", "c"]}} and variables["new"]["k"] is inner


def test_what_the_parent_has_moved_gets_the_childs_changes():
    variables = {"d": {"k": [1]}, "l": ["a", [1], "b"]}
    fork = Fork(variables)
    variables["d"]["moved"] = variables["d"].pop("k")
    variables["l"].insert(0, variables["l"].pop(1))
    fork.child["d"]["k"].append(2)
    fork.child["l"][1].append(2)
    fork.join()
    assert variables == {"d": {"moved": [1, 2]}, "l": [[1, 2], "a", "b"]}


def test_new_objects_with_two_names_are_one_object():
    variables = {"a": {}, "b": []}
    fork = Fork(variables)
    new = ["new"]
    fork.child["a"]["k"] = new
    fork.child["b"] += [new, new]
    fork.join()
    assert variables["a"]["k"] is variables["b"][0] is variables["b"][1]


def test_new_objects_of_both_that_merge_become_one_once():
    variables = {"a": defaultdict(list), "b": defaultdict(list)}
    fork = Fork(variables)
    for where, value in ((variables, "p"), (fork.child, "c")):
        new = [value]
        where["a"]["k"] = where["b"]["k"] = new
    fork.join()
    assert variables["a"]["k"] == ["p", "c"] and variables["a"]["k"] is variables["b"]["k"]


def test_cycles():
    first = Node("first")
    first.after = Node("second", first)
    ring = [1]
    ring.append(ring)
    variables = {"first": first, "ring": ring}
    fork = Fork(variables)
    fork.child["first"].after.weight = 5
    new = Node("third", fork.child["first"])
    fork.child["first"].after.after = new
    fork.child["ring"].append(fork.child["ring"])
    first.weight = 1
    fork.join()
    assert variables["first"] is first and (first.weight, first.after.weight) == (1, 5)
    assert first.after.after.name == "third" and first.after.after.after is first
    assert ring[1] is ring and ring[2] is ring and len(ring) == 3


def test_the_parent_refers_to_another_object_and_the_child_has_changed_the_old_one():
    first = Node("first")
    second = Node("second", first)
    variables = {"first": first, "second": second}
    fork = Fork(variables)
    second.after = Node("third")
    fork.child["second"].after.weight = 5
    fork.join()
    assert first.weight == 5 and second.after.name == "third" and second.after.weight == 0


def test_objects_that_are_keys_or_elements_are_the_parents():
    node, other = Node("key"), Node("element")
    variables = {"d": {node: 1, (node, other): 1}, "s": {other}, "l": []}
    fork = Fork(variables)
    for key in list(fork.child["d"]):
        fork.child["d"][key] += 1
        if isinstance(key, Node):
            key.weight = 5
            fork.child["l"].append(key)
    fork.child["s"].clear()
    variables["d"][node] += 10
    fork.join()
    assert variables == {"d": {node: 12, (node, other): 2}, "s": set(), "l": [node]} and node.weight == 5


def test_both_change_containers_of_their_own_in_one_graph():
    import random
    for seed in range(200):
        source = random.Random(seed)
        made = [source.choice([dict, list, set])() for _ in range(8)]
        for where in made[:6]:
            for value in source.choices(made, k=3):
                if isinstance(where, dict):
                    where[source.choice("klmn")] = value
                elif isinstance(where, list):
                    where.append(value)
        variables = {name: source.choice(made) for name in "abc"}
        twin = copy.deepcopy(variables)
        fork = Fork(variables)
        in_parent, in_child, in_twin = (reachable(where) for where in (variables, fork.child, twin))
        for number, both in enumerate(in_twin):
            for container in (both, source.choice([in_parent, in_child])[number]):
                if isinstance(container, dict):
                    container.update(x=number, y=[number])
                elif isinstance(container, list):
                    container.append(number)
                else:
                    container.add(number)
        fork.join()
        assert shape(variables) == shape(twin), seed


def test_a_long_chain():
    head = None
    for number in range(20000):
        head = [number, head]
    last = head
    while last[1]:
        last = last[1]
    from snakefish._merge_join import Join
    from snakefish._merge_rules import BY_TYPE
    from snakefish._merge_snapshot import Snapshot
    variables = {"head": head}
    snapshot = Snapshot({"head": (variables, "head")}, {"head": BY_TYPE})
    last[0] = "changed"
    changes = snapshot.difference()
    last[0] = 0
    Join(snapshot, changes).run()
    assert last[0] == "changed"
    while head:  # a nested list of this depth is freed piece by piece
        head = head[1]


def test_a_new_object_in_place_of_one_with_two_names_leaves_the_other_name_alone():
    shared = {1}
    variables = {"a": shared, "b": shared}
    fork = Fork(variables)
    fork.child["a"] = fork.child["a"] | {"c"}
    shared.add("p")
    fork.join()
    assert variables == {"a": {1, "p", "c"}, "b": {1, "p"}}


def test_random_references_between_containers():
    import random
    for seed in range(200):
        source = random.Random(seed)
        made = [source.choice([dict, list])() for _ in range(6)]
        variables = {name: source.choice(made) for name in "abc"}
        change(source, made, 10)
        fork = Fork(variables)
        change(source, reachable(fork.child), 6)
        expected = shape(fork.child)
        fork.join()
        assert shape(variables) == expected, seed


def change(source, containers, times):
    for _ in range(times):
        where, value = source.choice(containers), source.choice([*containers, source.randrange(1000), "text"])
        if isinstance(where, dict):
            where[source.choice("klmn")] = value
        elif where and source.random() < 0.5:
            where[source.randrange(len(where))] = value
        elif where and source.random() < 0.3:
            del where[source.randrange(len(where))]
        else:
            where.insert(source.randrange(len(where) + 1), value)


def reachable(variables):
    found, todo = [], list(variables.values())
    while todo:
        thing = todo.pop()
        if isinstance(thing, (dict, list, set)) and not any(thing is one for one in found):
            found.append(thing)
            todo += thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ()
    return found
