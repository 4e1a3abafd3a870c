"""The READMEs, CONTRIBUTING.md and CHANGELOG.md, read for their tests; and the parts of them that programs write.

    python3 tests/readme.py --update             refresh the table of events in tracer/README.md
    python3 tests/readme.py --numbers BENCH.DB   fill the table of numbers in README.md from a session of the bench

Of a document the tests know:

    a program     a Python block; the text block that follows it is what it prints
    a recipe      a block behind a line with nothing but a file's name: what that new file holds
    a path        inline code that looks like a file or a folder: it exists, seen from the document or from the top; a
                  bare file name exists somewhere below the document
    a function    inline code that ends with (), and every word that begins with sf_: it exists in the sources
    a command     a line of a shell block, or inline code, that begins with make, python3 or snakefish-trace
"""

import glob
import os
import re
import sqlite3
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("SF_BUILD", os.path.join(TOP, "build")))
EVENTS = "tracer/README.md"
EVENTS_TABLE = re.compile(r"(<!-- events:.*?-->\n)(.*?)(<!-- /events -->)", re.S)
NUMBERS_TABLE = re.compile(r"(<!-- numbers -->\n)(.*?)(<!-- /numbers -->)", re.S)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
FILE_ENDINGS = ("c", "h", "def", "sql", "R", "Rmd", "dcf", "py", "pyi", "toml", "md", "csv", "html", "svg", "txt")
NOT_OURS = ("build/", "/", "~")  # made by make; of the machine

# The rows of the table of numbers: what it says, and the workload of the bench.
NUMBERS = (
    ("start a process, take its result, join it", "spawn-join"),
    ("send an int one way", "stream-int"),
    ("send an int there and back", "channel-round-trip"),
    ("map of 200,000 small tasks", "map-ints"),
    ("map with 200 results of 1 MiB", "map-large-results"),
    ("the program binary-trees", "binary-trees"),
    ("the program spectral-norm", "spectral-norm"),
)
NUMBERS_RUNTIMES = ("snakefish", "multiprocessing", "concurrent-futures", "joblib")


def documents():
    """Their paths from the top: README.md first."""
    found = [os.path.relpath(path, TOP) for pattern in ("*.md", "*/README.md") for path in glob.glob(os.path.join(TOP, pattern))]
    return sorted((path for path in found if not path.startswith("build")), key=lambda path: (path.count("/"), path))


def text(document):
    with open(os.path.join(TOP, document), encoding="utf-8") as file:
        return file.read()


def prose(document):
    """The text without its blocks."""
    return FENCE.sub("", text(document))


def blocks(document):
    """(language, what it holds, the line before it, the language and content of the block that follows at once)."""
    whole, found = text(document), []
    fences = list(FENCE.finditer(whole))
    for i, fence in enumerate(fences):
        before = whole[:fence.start()].rstrip("\n").rpartition("\n")[2]
        adjacent = i + 1 < len(fences) and fences[i + 1].start() == fence.end() + 1
        follower = fences[i + 1].groups() if adjacent else (None, None)
        found.append((fence.group(1), fence.group(2), before, *follower))
    return found


def programs(document):
    """(program, what it prints)."""
    return [(body, output) for language, body, _, next_language, output in blocks(document)
            if language == "python" and next_language == "text"]


def recipes(document):
    """File name -> what it holds."""
    named = ((re.fullmatch(r"`([\w./]+)`:", before), body) for _, body, before, _, _ in blocks(document))
    return {match.group(1): body for match, body in named if match}


def inline(document):
    """Inline code, each once, in order."""
    return list(dict.fromkeys(re.findall(r"`([^`\n]+)`", prose(document))))


def paths(document):
    """Inline code that names a file or a folder of ours."""
    made = recipes(document)
    for code in inline(document):
        path = code.partition("::")[0]
        named = re.fullmatch(r"[\w.,{}*/-]+", path) and (path.endswith("/") or path.rpartition(".")[2] in FILE_ENDINGS)
        if named and "." != path[0] and not path.startswith(NOT_OURS) and path not in made:
            yield path


def files_of(document, path):
    """What a path stands for."""
    alternatives = [path]
    while any("{" in one for one in alternatives):  # {a,b} is a or b
        alternatives = [before + one + after for alternative in alternatives
                        for before, choice, after in [re.fullmatch(r"(.*?)\{(.*?)\}(.*)", alternative).groups()]
                        for one in choice.split(",")]
    folder, found = os.path.dirname(document), []
    for one in alternatives:
        places = [one, os.path.join(folder, one)] + ([os.path.join(folder, "**", one)] if "/" not in one else [])
        here = [path for place in places for path in glob.glob(os.path.join(TOP, place), recursive=True)
                if not os.path.relpath(path, TOP).startswith("build")]
        if not here:
            return []
        found += here
    return found


def functions(document):
    called = [code[:-2] for code in inline(document) if re.fullmatch(r"[A-Za-z_][\w.]*\(\)", code)]
    return list(dict.fromkeys([name.rpartition(".")[2] for name in called] + re.findall(r"\bsf_\w+", prose(document))))


def sources():
    """What is not a document and not a test of one."""
    found = []
    for part in ("ext", "tracer", "bench", "analysis", "tests"):
        for folder, _, names in os.walk(os.path.join(TOP, part)):
            found += [os.path.join(folder, name) for name in names
                      if name.endswith((".c", ".h", ".def", ".py", ".pyi", ".R", ".sql"))]
    return found


def links(document):
    """Targets of links and pictures inside the repository: (path from the top, anchor or '')."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if not re.match(r"[a-z]+:", target):
            path, _, anchor = target.partition("#")
            yield os.path.normpath(os.path.join(os.path.dirname(document), path)) if path else document, anchor


def anchors(document):
    """Of its headings, as they are made from them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.M)
    return [re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings]


def commands(document):
    """What a reader may type, a line each; comments are gone."""
    lines = [line for language, body, _, _, _ in blocks(document) if language == "sh" for line in body.splitlines()]
    lines += inline(document)
    for line in lines:
        line = re.sub(r"\s+#.*", "", line).strip()
        line = re.sub(r"^([A-Z_]+=\S* )+", "", line)
        line = re.sub(r"^build/bin/", "", line)
        if re.match(r"(make|python3|snakefish-trace) ", line):
            yield line


def collector(*arguments):
    return subprocess.run([os.path.join(BUILD, "bin", "snakefish-trace"), *arguments], check=True, capture_output=True,
                          text=True).stdout


def replace(document, pattern, content):
    old = text(document)
    new = pattern.sub(lambda match: match.group(1) + content + match.group(3), old)
    if new != old:
        with open(os.path.join(TOP, document), "w", encoding="utf-8") as file:
            file.write(new)


def events_in_readme():
    return EVENTS_TABLE.search(text(EVENTS)).group(2)


def events():
    return collector("events")


def numbers_in_readme():
    """The cells of the table of numbers: {row's name: [cells]}."""
    rows = NUMBERS_TABLE.search(text("README.md")).group(2).splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]
    return {name: rest for name, *rest in cells}


def duration(ns):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3), ("ns", 1)):
        if ns >= size:
            value = ns / size
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
    return "0 ns"


def numbers(database):
    """The table of numbers, from the last session of a bench database."""
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    times = {}
    query = "SELECT workload, runtime, median_ns FROM estimate WHERE session = (SELECT max(id) FROM session) ORDER BY workers"
    for workload, runtime, ns in db.execute(query):  # the last one is that with the most workers
        times[workload, runtime] = ns
    db.close()
    lines = ["| | " + " | ".join(name.replace("-", ".") for name in NUMBERS_RUNTIMES) + " |",
             "|---|" + "---:|" * len(NUMBERS_RUNTIMES)]
    for name, workload in NUMBERS:
        found = [times.get((workload, runtime)) for runtime in NUMBERS_RUNTIMES]
        lines.append("| " + " | ".join([name] + [duration(ns) if ns else "–" for ns in found]) + " |")
    return "\n".join(lines) + "\n"


def main(arguments):
    if arguments == ["--update"]:
        replace(EVENTS, EVENTS_TABLE, events())
    elif len(arguments) == 2 and arguments[0] == "--numbers":
        replace("README.md", NUMBERS_TABLE, numbers(arguments[1]))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
