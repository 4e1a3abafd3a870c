"""The programs that change globals: with share= each is its sequential version and at most five lines more."""
import ast
import inspect

import pytest

from bench.run import blocks, catalog
from bench.runtimes import sequential, snakefish, snakefish_by_hand

SHARING = ("memoised-search", "monte-carlo", "word-count")
SIZE = {"memoised-search": 3000, "monte-carlo": 3, "word-count": 1}
FOR_OTHERS = ("begin", "carry", "extract", "merge", "chunksize")  # what the program states for runtimes without share=


def lines_of(source, without=()):
    """How many lines of code there are, without those of the top level that define one of these names. Docstrings, comments
    and blank lines are no code."""
    tree = ast.parse(source)
    lines = set()
    for statement in tree.body:
        if defined(statement) & set(without):
            continue
        lines |= {node.lineno for node in ast.walk(statement) if hasattr(node, "lineno")}
        lines |= {node.end_lineno for node in ast.walk(statement) if hasattr(node, "lineno")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines -= set(range(node.lineno, node.end_lineno + 1))
    return len(lines)


def defined(statement):
    if isinstance(statement, ast.FunctionDef):
        return {statement.name}
    return {target.id for target in getattr(statement, "targets", ()) if isinstance(target, ast.Name)}


def lines_with(runtime, name, without):
    """Of the whole program under that runtime: what it states, but for these names, and how the runtime calls its function."""
    program = inspect.getsource(catalog.workload(name).module)
    return lines_of(program, without) + lines_of(inspect.getsource(runtime.fold))


def test_these_are_all_programs_that_change_globals():
    assert list(SHARING) == [name for name in catalog.workload_names() if catalog.workload(name).needs == "fold"]
    assert "share=module.share" in inspect.getsource(snakefish.fold)


@pytest.mark.parametrize("name", SHARING)
def test_with_share_a_program_is_at_most_five_lines_longer_than_the_sequential_one(name):
    alone = lines_with(sequential, name, (*FOR_OTHERS, "share"))
    shared = lines_with(snakefish, name, FOR_OTHERS)
    by_hand = lines_with(snakefish_by_hand, name, ("begin", "carry", "chunksize", "share"))
    assert alone < shared + 2 and shared <= alone + 5
    assert shared < by_hand


def test_lines_of_code_are_counted():
    assert lines_of('"""doc"""\n\n# comment\nx = 1\n\n\ndef f():\n    """doc"""\n    return (x +\n            1)\n') == 4
    assert lines_of("x = 1\ny = 2\n\n\ndef f():\n    pass\n", without=("y", "f")) == 1


@pytest.mark.parametrize("name", SHARING)
def test_with_share_a_program_prints_what_the_sequential_one_does(name):
    def sample(runtime, workers):
        ended, answer = blocks.ask([name, SIZE[name], runtime, workers], limit_s=60)
        assert answer, ended.stderr
        return answer["output_sha256"]

    right = sample("sequential", 1)
    assert [sample("snakefish", workers) for workers in (1, 2, 3)] == [right] * 3
    assert sample("snakefish-by-hand", 2) == right
