"""binary-trees: makes and walks many perfect binary trees, every node an object of its own

Of the Benchmarks Game. One map over shares of the trees of each depth; all shares cost the same, and nearly nothing is
sent either way: what counts is how workers allocate. A long-lived tree stays in the parent all the while.
"""

size = 14
check_size = 10
counted = 8
official = 21
check_output = b"""\
stretch tree of depth 11\t check: 4095
1024\t trees of depth 4\t check: 31744
256\t trees of depth 6\t check: 32512
64\t trees of depth 8\t check: 32704
16\t trees of depth 10\t check: 32752
long lived tree of depth 10\t check: 2047
"""
unit = "levels"
seconds = 0.65
same_tasks = True

SHALLOWEST = 4
SHARES = 8  # of the trees of one depth


def growth(size):
    """Nodes, about: as many of each depth."""
    return (size - SHALLOWEST + 2) // 2 << size


def bottom_up(depth):
    """A node is a list of two; not a tuple, of which the compiler would make one leaf for all."""
    if depth == 0:
        return [None, None]
    return [bottom_up(depth - 1), bottom_up(depth - 1)]


def check(tree):
    """How many nodes there are, by visiting each."""
    left, right = tree
    return 1 if left is None else 1 + check(left) + check(right)


def work(task):
    depth, trees = task
    return sum(check(bottom_up(depth)) for _ in range(trees))


def program(size, workers, map):
    def checks(trees):
        bounds = {depth: [n * k // SHARES for k in range(SHARES + 1)] for depth, n in trees.items()}
        found = map(work, [(depth, end - begin) for depth in trees for begin, end in zip(bounds[depth], bounds[depth][1:])], 1)
        return [sum(found[k:k + SHARES]) for k in range(0, len(found), SHARES)]

    return report(size, checks)


def report(size, checks):
    """checks({depth: how many trees}) returns how many nodes these have, for each depth."""
    deepest = max(SHALLOWEST + 2, size)
    lines = [f"stretch tree of depth {deepest + 1}\t check: {check(bottom_up(deepest + 1))}"]
    long_lived = bottom_up(deepest)
    trees = {depth: 1 << (deepest - depth + SHALLOWEST) for depth in range(SHALLOWEST, deepest + 1, 2)}
    for depth, nodes in zip(trees, checks(trees)):
        lines.append(f"{trees[depth]}\t trees of depth {depth}\t check: {nodes}")
    lines.append(f"long lived tree of depth {deepest}\t check: {check(long_lived)}")
    return "".join(line + "\n" for line in lines).encode()
