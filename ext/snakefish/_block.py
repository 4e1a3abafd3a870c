"""Opens the pickle of a list item by item: what is done when it does not open as a whole. Internal; called from C."""

import io
import pickle
import pickletools


def open_singly(data, buffers=(), again=False):
    """data: the pickle of a list. ([the items before the first that cannot be unpickled], the exception that this one
    raised); where all can be unpickled, the exception is None. What is no Exception passes through. again: the buffers
    have been loaded before, and may belong to what came of that."""
    pieces = _split(bytes(data))
    kind = pickle.Unpickler
    if again:
        from snakefish._arrays import Unpickler as kind, copy
        buffers = [copy(buffer) for buffer in buffers]
    unpickler = kind(io.BytesIO(b"".join(pieces)), buffers=buffers)
    unpickler.load()  # the empty list: items may refer to it
    items = []
    for _ in pieces[1:]:
        try:
            items.append(unpickler.load())
        except Exception as error:
            return items, error
    return items, None


def _split(data):
    """The pickle of a list as several pickles: of the empty list, and of each item. They have to be loaded by one
    Unpickler, because an item may refer to objects in those before it.

    pickle makes an empty list, then pushes up to 1000 items on a stack and appends them all, and so on. An item is complete
    at the last operation after which the stack is as high as its number says."""
    operations = [(op, at) for op, _, at in pickletools.genops(data)]
    ends = [at for _, at in operations[1:]] + [len(data)]
    pieces, group, complete = [], [], {}  # group: the operations of the items that are appended together
    start = b""
    heights = [0]  # of the stack above each mark
    for (op, at), end in zip(operations, ends):
        if op.name == "PROTO":
            start = data[at:end]
        elif op.name == "FRAME":
            pass  # says how many bytes come together, which is not so any more
        elif op.name == "APPENDS" and len(heights) == 2 and heights[0] == 1:  # at the list's own level
            cuts = [1] + [complete[height] for height in range(1, heights[1] + 1)]  # the first is a mark
            pieces += [group[a:b] for a, b in zip(cuts, cuts[1:])]
            group, complete, heights = [], {}, [1]
        elif op.name == "APPEND" and heights == [2]:
            pieces.append(group)
            group, complete, heights = [], {}, [1]
        elif op.name != "STOP":
            if not pieces and heights == [1] and op.name != "MEMOIZE":  # the empty list is made
                pieces.append(group)
                group = []
            group.append(data[at:end])
            _move(heights, op)
            if len(heights) == 2:
                complete[heights[1]] = len(group)
    return [start + b"".join(piece) + b"." for piece in pieces or [group]]


def _move(heights, op):
    """What an operation does to the stack."""
    taken, given = op.stack_before, op.stack_after
    if pickletools.markobject in taken or (op.name == "POP" and heights[-1] == 0):
        heights.pop()  # all down to the mark
        taken = taken[: taken.index(pickletools.markobject)] if pickletools.markobject in taken else ()
    heights[-1] -= len(taken)
    if pickletools.markobject in given:
        heights.append(0)
    else:
        heights[-1] += len(given)
