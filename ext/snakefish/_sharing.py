"""share=: what a child changes in these globals is merged into its parent's. Internal; C calls it, in py/task/extraction.c.

    parent, right before the fork    ancestor = sharing.fork()        the state that both sides have in common
    child, after f                   data = ancestor.changes()        what it has changed, as bytes
    parent, at the join              ancestor.merge(data, name)       all of it, or an exception and nothing

A Sharing belongs to one Thread or Generator, or to one call of map, whose children may have one ancestor.
"""

from snakefish._merge_join import Join
from snakefish._merge_latest import snapshot_for
from snakefish._merge_rules import Rule, takes
from snakefish._merge_share import globals_of, policy_of, rules_of, variables_of
from snakefish._share_check import Watch, warn


class Sharing:
    def __init__(self, f, share, on_conflict, merge, check, globals, globals_are_given):
        """The arguments of the call; None: not given. globals: the dict `globals`, or if that is not given those of the caller,
        for an f that has no globals of its own. TypeError, or ValueError for a rule that does not exist. Whether the names
        exist is seen at the fork."""
        self.rules = rules_of(() if share is None else share)
        self.policy = policy_of("raise" if on_conflict is None else on_conflict)
        self.merge_function = merge
        if merge is not None:
            if not takes(merge, 3):
                raise TypeError(f"merge with share must take (base, current, child), each a dict of the shared globals; "
                                f"{merge!r} does not")
            if isinstance(share, dict) and any(rule is not None for rule in share.values()):
                raise ValueError("merge decides about all that is shared, so share= is a list of names: leave out the rules "
                                 "or merge")
            self.rules = {label: Rule("merge", "merge(base, current, child)", None, takes_absent=True, whole=True)
                          for label in self.rules}
        self.namespace = globals if globals_are_given else globals_of(f, globals)
        self._last = None  # the newest snapshot
        self.f, self._checks, self._watch = f, bool(check), None
        self.joins = []  # since begin(), those under way too

    def fork(self):
        """The Ancestor of a child that is forked now. Other threads must not change the shared globals meanwhile."""
        ancestor = Ancestor(self)
        if self._last is not None and self._last.is_current():
            self._last.use(ancestor)
        else:
            self._last = snapshot_for(ancestor, variables_of(self.rules, self.namespace), self.rules)
        ancestor.snapshot = self._last
        if self._checks:
            if not (self._watch and self._watch.is_current_beside(self._last)):
                self._watch = Watch(self.namespace, self._last)
            ancestor.watch = self._watch
        return ancestor

    def begin(self):
        """From here on merges can be taken back."""
        self.joins = []

    def revert(self):
        """Takes back what was merged since begin(), and what an interruption has left half merged."""
        while self.joins:
            self.joins[-1].revert()
            self.joins.pop()


class Ancestor:
    """It needs its snapshot as long as it lives: an interrupted merge is done again."""

    def __init__(self, sharing):
        self.sharing, self.snapshot, self.watch = sharing, None, None
        self._under_way = [], []  # of merge_all: the changes, and the joins of those that are merged or half merged

    def changes(self):
        """bytes; with share_check, if something was changed that is not shared, (bytes, the names)."""
        data = self.snapshot.difference()
        names = self.watch.changed() if self.watch else ()
        return (data, names) if names else data

    def merge(self, data, child):
        """child: its name, for Conflict."""
        sharing = self.sharing
        if isinstance(data, tuple):
            data, names = data
            warn(sharing.f, sharing.namespace, names)
        if data:
            join = self._join(data, child)
            sharing.joins.append(join)
            join.run()

    def merge_all(self, changes):
        """changes: a list of (data, name of a child). Merges them in this order and empties the list, or raises and has merged
        nothing. After an interruption it can be called again: if the list is not empty."""
        self._take_back()
        joins = []
        self._under_way = changes, joins
        try:
            for data, child in changes:
                if data:
                    joins.append(self._join(data, child))
                    joins[-1].run()
            changes.clear()
        except BaseException:
            self._take_back()
            raise

    def _take_back(self):
        """Undoes what is half done: also what a second interruption has left."""
        changes, joins = self._under_way
        while changes and joins:
            joins[-1].revert()
            joins.pop()

    def _join(self, data, child):
        sharing = self.sharing
        return Join(self.snapshot, data, sharing.policy, ("the parent", child), sharing.merge_function)
