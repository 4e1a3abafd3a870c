"""word-count: counts the words of a text in a global dictionary; each worker's is merged into the program's

What share= is for, or extract and merge: the work function changes a global. Workers read their own part of a file; a
dictionary of some 20,000 words comes back for each chunk.
"""
import os
import random
import re
import tempfile
from collections import Counter

size = 8
check_size = 1
unit = "times 200,000 words"
seconds = 0.45
needs = "fold"

VOCABULARY = 20_000
WORDS = 200_000
CHUNKS_PER_WORKER = 2
SHOWN = 100

words = {}
share = {"words": "sum"}


def growth(size):
    return size


def page():
    """The text that the file repeats: common words and rare ones, in mixed case, with punctuation."""
    draw = random.Random(1)
    vocabulary = ["".join(draw.choices("abcdefghijklmnop", k=draw.randint(2, 9))) for _ in range(VOCABULARY)]
    drawn = draw.choices(vocabulary, weights=[1 / rank for rank in range(1, VOCABULARY + 1)], k=WORDS)
    return "".join(word.capitalize() + ". " if k % 11 == 0 else word + (",\n" if k % 13 == 0 else " ")
                   for k, word in enumerate(drawn))


def path(size):
    return os.path.join(tempfile.gettempdir(), f"words-{size}.txt")


def prepare(size):
    if not os.path.exists(path(size)):
        with tempfile.NamedTemporaryFile("w", dir=tempfile.gettempdir(), delete=False) as file:
            file.write(page() * size)
        os.replace(file.name, path(size))


def begin(carried):
    """Sets the globals as a chunk finds them; nothing is carried over to it."""
    words.clear()


def work(task):
    """Counts the words that begin in that part of the file."""
    name, first, end = task
    with open(name, encoding="ascii") as file:
        file.seek(max(0, first - 1))
        text = file.read(end - max(0, first - 1))
        text += re.match("[A-Za-z]*", file.read(64))[0] if text[-1:].isalpha() else ""
    if first:  # the word that goes on from the part before is that part's
        text = text[re.match("[A-Za-z]*", text).end():]
    for word in re.findall("[a-z]+", text.lower()):
        words[word] = words.get(word, 0) + 1


def extract(g):
    return g["words"]


def merge(g, extracted):
    mine = g["words"]
    for word, count in extracted.items():
        mine[word] = mine.get(word, 0) + count


def program(size, workers, fold):
    name = path(size)
    chunks = CHUNKS_PER_WORKER * workers
    bounds = [os.path.getsize(name) * k // chunks for k in range(chunks + 1)]
    fold(work, [(name, *bounds) for bounds in zip(bounds, bounds[1:])], 1)
    return report(words)


def report(counts):
    """The total, the number of different words, and the most common ones."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    lines = [f"{sum(counts.values())} words, {len(counts)} different"] + [f"{n} {word}" for word, n in ranked[:SHOWN]]
    return "".join(line + "\n" for line in lines).encode()


def expected(size):
    """From the page alone, without a file or parts of one."""
    counts = Counter(page().lower().replace(",", " ").replace(".", " ").split())
    return report({word: size * n for word, n in counts.items()})
