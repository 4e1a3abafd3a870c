"""Three-way merges: the state at the fork, the parent's state at the join, and what the child has changed.

    hits, seen = 0, set()
    t = snakefish.Thread(f, *snakefish.merge.three_way(["hits", "seen"]))

brings the child's changes of these globals back: counters add up, sets unite, and dicts, lists and objects merge by their
parts. If both tasks have changed what no rule can merge, join() raises Conflict and merges nothing. `explain` says before
the run which rule each variable has, and which globals a function changes that nothing brings back.

Rules, for `share={"name": rule}`, are asked for what both have changed. What one task has changed is as it has left it.

    "sum"                current + (child - base); lists: both appends; arrays: the changes add
    "union"              of sets
    "max" "min"          the larger or smaller value; the functions max and min mean the same
    "any" "all"          of what is true or false
    "last" "first"       the value of who is joined last or first
    "either"             one task may change it, or both to the same value
    "readonly"           no task may change it
    a function           of (base, current, child) or (current, child), of whole variables; it returns the merged value

Without a rule the type decides. Numbers add their changes; of other values one task may change each, or both to the same.
"""

import sys

from snakefish._merge_conflict import ABSENT, Conflict
from snakefish._merge_explain import Explanation, explained
from snakefish._merge_join import Join
from snakefish._merge_rules import register
from snakefish._merge_share import policy_of, rules_of, variables_of
from snakefish._merge_snapshot import Snapshot

__all__ = ["ABSENT", "Conflict", "Explanation", "explain", "register", "three_way"]


def three_way(share, *, on_conflict="raise", globals=None):
    """(extract, merge) for Thread, Generator, map and starmap: merges what the children change in these globals.

    The state of now is the one that all three versions come from. So call it where the task is made and started, each time:
    Thread(f, *three_way(["hits"])), map(f, args, *three_way({"best": max})).

    share: names of globals, or {name: rule}; see help(snakefish.merge). They are the caller's, or those of `globals`;
    "module:name" is one of another module. A name that does not exist is a ValueError, a type without a merge a TypeError.
    on_conflict: "raise" (Conflict comes out of join, and nothing is merged), "parent" or "child" (whose value stays), or a
    function that gets the Conflict and returns the value. ABSENT stands for what is not there.

    It copies the containers that the variables lead to, never what they hold. Does not block."""
    policy, rules = policy_of(on_conflict), rules_of(share)
    snapshot = Snapshot(variables_of(rules, sys._getframe(1).f_globals if globals is None else globals), rules)
    merged = []  # one entry for each merge: a child that inherits one was forked too late

    def extract(_):
        if merged:
            raise RuntimeError("the child was forked after something was merged, so its state is newer than the one that it "
                               "is compared with: call three_way() anew for each start, and not with rounds=True")
        return snapshot.difference()

    def merge(_, changes):
        merged.append(None)
        Join(snapshot, changes, policy).run()

    return extract, merge


def explain(f, share=(), *, globals=None):
    """A dry run: the rule of each shared variable, and the globals that f changes, as far as its code shows it, but that are
    not shared, so that changes in a child are lost. Returns an Explanation; print it.

    Read are f, what decorates it, the functions in it, those of its module that it names, and all that it hands a part of
    a global to. The code is not run, so calls of what is in a container, by getattr or by exec are not seen.
    share and globals as for three_way; the globals are f's. A global of another module is told as "module:name"."""
    return explained(f, share, globals)
