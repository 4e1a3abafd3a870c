"""regex-redux: counts patterns in DNA, and replaces others one after the other

Of the Benchmarks Game. Reads what fasta wrote; one map over ten tasks of different costs, nine patterns and the
replacements, each of which gets the whole text: few and large.
"""
import re

from bench.workloads import fasta

size = 250_000
check_size = 1000
official = 5_000_000
check_output = b"""\
agggtaaa|tttaccct 1
[cgt]gggtaaa|tttaccc[acg] 0
a[act]ggtaaa|tttacc[agt]t 0
ag[act]gtaaa|tttac[agt]ct 0
agg[act]taaa|ttta[agt]cct 1
aggg[acg]aaa|ttt[cgt]ccct 0
agggt[cgt]aa|tt[acg]accct 0
agggta[cgt]a|t[acg]taccct 0
agggtaa[cgt]|[acg]ttaccct 2

10245
10000
5262
"""
unit = "of fasta"
seconds = 0.6
same_tasks = True
prepare = fasta.make_file

VARIANTS = (
    "agggtaaa|tttaccct", "[cgt]gggtaaa|tttaccc[acg]", "a[act]ggtaaa|tttacc[agt]t", "ag[act]gtaaa|tttac[agt]ct",
    "agg[act]taaa|ttta[agt]cct", "aggg[acg]aaa|ttt[cgt]ccct", "agggt[cgt]aa|tt[acg]accct", "agggta[cgt]a|t[acg]taccct",
    "agggtaa[cgt]|[acg]ttaccct")
REPLACED = (("tHa[Nt]", "<4>"), ("aND|caN|Ha[DS]|WaS", "<3>"), ("a[NSt]|BY", "<2>"), ("<[^>]*>", "|"),
            (r"\|[^|][^|]*\|", "-"))


def growth(size):
    return size


def work(task):
    """How often the pattern matches; without one, the length of the text after the replacements."""
    pattern, text = task
    if pattern is not None:
        return len(re.findall(pattern, text))
    for old, new in REPLACED:
        text = re.sub(old, new, text)
    return len(text)


def program(size, workers, map):
    text = fasta.read_file(size)
    clean = re.sub(">.*\n|\n", "", text)
    replaced, *counts = map(work, [(pattern, clean) for pattern in (None, *VARIANTS)], 1)
    return report(text, clean, replaced, counts)


def report(text, clean, replaced, counts):
    lines = [f"{pattern} {count}" for pattern, count in zip(VARIANTS, counts)]
    return "".join(f"{line}\n" for line in [*lines, "", len(text), len(clean), replaced]).encode()
