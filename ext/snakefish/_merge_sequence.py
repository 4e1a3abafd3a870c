"""What has changed in a list, a deque or a bytearray. Internal; for _merge_kinds.py and _merge_join.py.

    items       {index: value}    of the items at the fork that hold another value
    deleted     {index}           of the items at the fork that are gone
    inserted    {gap: [values]}   new items; gap i is before the item i, gap `length` is the end

All indices are those at the fork, so that the changes of two tasks can be laid side by side.

Items have no names, so which of them are new is a guess when the length has changed. The guess is the shorter of two
descriptions: either the items stayed at their places, and the end grew or was cut, or items were inserted and deleted.
Applied to the list of the fork both give the same list, the one that the task has left.
"""

from bisect import bisect_left

from snakefish._merge_changes import ATOMS


class SequenceChanges:
    __slots__ = ("length", "items", "deleted", "inserted")

    def __init__(self, length, items=None, deleted=None, inserted=None):
        self.length = length
        self.items, self.deleted, self.inserted = items or {}, deleted or set(), inserted or {}

    def __reduce__(self):
        return SequenceChanges, (self.length, self.items, self.deleted, self.inserted)

    def size(self):
        return len(self.items) + len(self.deleted) + sum(map(len, self.inserted.values()))

    def middle(self):
        """Whether items were inserted between others."""
        return any(0 < gap < self.length for gap in self.inserted)

    def apply(self, before, to=lambda value: value):
        """The items as this task has left them; to: what becomes of each new one."""
        if not self.deleted and set(self.inserted) <= {self.length}:
            now = list(before)
            for index, value in self.items.items():
                now[index] = to(value)
        else:
            now = []
            for index in range(self.length):
                now += map(to, self.inserted.get(index, ()))
                if index not in self.deleted:
                    now.append(to(self.items[index]) if index in self.items else before[index])
        now += map(to, self.inserted.get(self.length, ()))
        return now


def sequence_changes(before, now, indices, same, moves=False):
    """The changes from `before` to `now`. indices: those below both lengths where they differ; same: how many items at the
    end are the same. moves: items may have moved although the length is the same, as in a deque that is a queue."""
    old, new = len(before), len(now)
    shorter = min(old, new)
    in_place = SequenceChanges(old, {index: now[index] for index in indices}, set(range(new, old)),
                               {old: list(now[old:])} if new > old else None)
    if not indices or (old == new and not moves):
        return in_place
    start = indices[0]
    same = min(same, shorter - start)
    moved = SequenceChanges(old)
    _compare(before, now, start, old - same, start, new - same, moved)
    if old == new:
        return moved if moved.size() < in_place.size() else in_place
    return moved if 2 * moved.size() <= in_place.size() else in_place


def _compare(before, now, low, high, new_low, new_high, changes):
    """Adds the changes from before[low:high] to now[new_low:new_high]. Items that stand in both once only are taken for the
    same, as many as stand in the same order; between them this looks again."""
    todo = [(low, high, new_low, new_high)]
    while todo:
        low, high, new_low, new_high = todo.pop()
        while low < high and new_low < new_high and _key(before[low]) == _key(now[new_low]):
            low, new_low = low + 1, new_low + 1
        while low < high and new_low < new_high and _key(before[high - 1]) == _key(now[new_high - 1]):
            high, new_high = high - 1, new_high - 1
        pairs = _in_order(before, now, low, high, new_low, new_high)
        if not pairs:
            _replace(now, low, high, new_low, new_high, changes)
            continue
        for index, new_index in [*pairs, (high, new_high)]:
            todo.append((low, index, new_low, new_index))
            low, new_low = index + 1, new_index + 1


def _replace(now, low, high, new_low, new_high, changes):
    """Items that were replaced, if they are as many as before; else the old ones are gone, and the new ones inserted."""
    if high - low == new_high - new_low:
        changes.items.update(zip(range(low, high), now[new_low:new_high]))
        return
    changes.deleted.update(range(low, high))
    if new_low < new_high:
        changes.inserted[high] = list(now[new_low:new_high])


def _in_order(before, now, low, high, new_low, new_high):
    """Pairs of indices of items that stand once in each part: the longest series that is in order in both."""
    there = _once(before, low, high)
    here = _once(now, new_low, new_high)
    pairs = sorted((index, here[key]) for key, index in there.items() if key in here)
    ends, tails, links = [], [], []  # of the best series of each length: its last new index, and the pair that it is
    for number, (_, new_index) in enumerate(pairs):
        at = bisect_left(ends, new_index)
        ends[at:at + 1] = [new_index]
        tails[at:at + 1] = [number]
        links.append(tails[at - 1] if at else -1)
    series, number = [], tails[-1] if tails else -1
    while number >= 0:
        series.append(pairs[number])
        number = links[number]
    return series[::-1]


def _once(items, low, high):
    """{key: index} of the items that stand there once."""
    found, again = {}, set()
    for index in range(low, high):
        key = _key(items[index])
        if key in found:
            again.add(key)
        found[key] = index
    return {key: index for key, index in found.items() if key not in again}


def _key(value):
    """What makes two items the same: their value, or their identity if they can change."""
    kind = type(value)
    if kind in (float, complex):
        return kind, repr(value)  # 0.0 == -0.0, and NaN differs from itself
    return (kind, value) if kind in ATOMS else id(value)
