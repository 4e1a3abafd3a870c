"""k-nucleotide: counts the subsequences of a DNA sequence, by length, in hash tables

Of the Benchmarks Game. Reads what fasta wrote; one map over seven lengths times shares of the third sequence, whose
text goes to every task that counts in it. Long subsequences cost more than short ones.
"""
from collections import Counter

from bench.workloads import fasta

size = 100_000
check_size = 1000
official = 25_000_000
check_output = b"""\
T 31.520
A 29.600
C 19.480
G 19.400

AT 9.922
TT 9.602
TA 9.402
AA 8.402
GA 6.321
TC 6.301
TG 6.201
GT 6.041
CT 5.961
AG 5.841
CA 5.461
AC 5.441
CC 4.041
CG 4.021
GC 3.701
GG 3.341

54\tGGT
24\tGGTA
4\tGGTATT
0\tGGTATTTTAATT
0\tGGTATTTTAATTTATAGT
"""
unit = "of fasta"
seconds = 0.5
same_tasks = True
prepare = fasta.make_file

TABLES = (1, 2)  # lengths whose frequencies are printed
WANTED = ("GGT", "GGTA", "GGTATT", "GGTATTTTAATT", "GGTATTTTAATTTATAGT")  # whose counts are
SHARES = 4


def growth(size):
    return size


def third_sequence(text):
    _, _, rest = text.partition(">THREE")
    return rest.partition("\n")[2].replace("\n", "").upper()


def shares_of(sequence):
    """(length, the one subsequence that is wanted or None, begin, end): the longest first; they overlap by length - 1."""
    bounds = [len(sequence) * k // SHARES for k in range(SHARES + 1)]
    kinds = [(len(word), word) for word in reversed(WANTED)] + [(length, None) for length in reversed(TABLES)]
    return [(length, word, begin, end + length - 1) for length, word in kinds
            for begin, end in zip(bounds, bounds[1:])]


def work(task):
    """The counts of all subsequences of that length; of the wanted one alone where there is one."""
    length, wanted, text = task
    counts = {}
    for at in range(len(text) - length + 1):
        key = text[at:at + length]
        counts[key] = counts.get(key, 0) + 1
    return counts if wanted is None else {wanted: counts.get(wanted, 0)}


def program(size, workers, map):
    sequence = third_sequence(fasta.read_file(size))
    tasks = [(length, word, sequence[begin:end]) for length, word, begin, end in shares_of(sequence)]
    return report(sequence, map(work, tasks, 1))


def report(sequence, counted):
    counts = Counter()
    for found in counted:
        counts.update(found)
    lines = []
    for length in TABLES:
        table = sorted(((-n, key) for key, n in counts.items() if len(key) == length))
        total = len(sequence) - length + 1
        lines += [f"{key} {-100 * n / total:.3f}" for n, key in table] + [""]
    lines += [f"{counts[word]}\t{word}" for word in WANTED]
    return "".join(line + "\n" for line in lines).encode()
