"""Checks which file may use which: `make test` runs it, as the suite "layers".

    python3 tests/layers.py [--top DIRECTORY] [--objects build/obj]

The rules (ORDER below lists the rooms in the order of the maps in the parts' READMEs):
  rooms    A file uses its own room and the rooms before it in ORDER, never a later one. Rooms in one row of ORDER may
           use each other, but not in a circle.
  cycles   No two files need each other, directly or through others. A .c and its .h are one file here.
  paths    An include of ours is written "room/file.h", from the root of its part.
  python   Only ext/py includes Python's headers.

What is read: the #include lines of C, the import statements of Python, and, with --objects, the symbols that each
compiled file needs from another one. The symbols show what includes hide: a function that is declared in one file's
header and defined in another file.

One line is printed for each wrong arrow. The last line is "N passed, N failed", one for each rule of each part.
"""

import argparse
import ast
import os
import re
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Rooms of each part, from the one that knows nobody to the one that may use all. A row is one level.
ORDER = {
    "ext": [["abi"], ["core/os"], ["core/ring"], ["core/log"], ["core/result"], ["py/base"], ["py/trace"], ["py/message"],
            ["py/task"], ["py/workers"], ["py/module.c"]],
    "tracer": [["abi"], ["base"], ["store"], ["analyze"], ["predict"], ["kernel"], ["collect"], ["export"], ["commands"]],
    "bench": [["__init__.py"], ["support"], ["floor", "workloads", "micro", "runtimes"], ["run"], ["results"],
              ["__main__.py"]],
}
PARTS_OF_C = ("ext", "tracer")
PACKAGES = {"bench": "bench", "snakefish": "ext/snakefish"}  # Python package -> its directory
COMPILED = ("snakefish._snakefish",)  # modules that are C
# The tracer shares the layout of the logs with the extension, and nothing else.
SHARED = {"tracer": ("abi",)}
# make writes these before it compiles: the ending of what is included -> the ending of its source
GENERATED = {".inc": ".sql", ".skel.h": ".bpf.c"}
HEADERS_OF_PYTHON = re.compile(r"(Python|structmember|frameobject|pythread|datetime|patchlevel|pyconfig)\.h$")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.M)
C_FILE = re.compile(r"\.(c|h|def)$")


@dataclass(frozen=True)
class Use:
    """One arrow: `user` and `used` are paths from the top, `how` says what the user does."""
    user: str
    used: str
    how: str


def files(top, directory, ending):
    """Paths from the top, sorted, of the files under `directory` whose name matches `ending`."""
    found = []
    for folder, folders, names in os.walk(os.path.join(top, directory)):
        folders[:] = [name for name in folders if name not in ("build", "__pycache__")]
        found += [os.path.relpath(os.path.join(folder, name), top) for name in names if re.search(ending, name)]
    return sorted(found)


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8") as file:
        return file.read()


def includes(top, path):
    """(bracket, name) of each #include line."""
    return INCLUDE.findall(read(top, path))


def resolve_include(top, part, name):
    """The path of what `"name"` means in a file of `part`, or None. A generated file stands for its source."""
    for root in (part, "ext"):
        path = os.path.join(root, name)
        if os.path.exists(os.path.join(top, path)):
            return path
        for ending, source in GENERATED.items():
            if path.endswith(ending) and os.path.exists(os.path.join(top, path[:-len(ending)] + source)):
                return path[:-len(ending)] + source
    return None


def include_uses(top, part):
    """(uses, complaints about paths) of the C files of a part."""
    uses, complaints = [], []
    for path in files(top, part, C_FILE):
        for bracket, name in includes(top, path):
            used = resolve_include(top, part, name)
            if bracket == "<":
                if used and "/" in name:
                    complaints.append(f'{path} includes <{name}>: write "{name}", it is ours')
            elif "/" not in name or ".." in name.split("/"):
                complaints.append(f'{path} includes "{name}": write "room/file.h" from the root of {part}')
            elif used is None:
                roots = " or ".join(dict.fromkeys((part, "ext")))
                complaints.append(f'{path} includes "{name}": no such file from the root of {roots}')
            else:
                uses.append(Use(path, used, f"includes {name}"))
    return uses, complaints


def symbol_uses(top, objects, part):
    """Uses of symbols between the compiled files of a part: of objects whose source is still there."""
    defined, needed = {}, []
    for path in files(objects, ".", r"\.o$"):
        at = re.search(rf"(?:^|/){part}/.*", path)
        source = at and at.group().lstrip("/")[:-len(".o")] + ".c"
        if not source or not os.path.exists(os.path.join(top, source)):
            continue
        listed = subprocess.run(["nm", "-P", os.path.join(objects, path)], stdout=subprocess.PIPE, text=True, check=True)
        for line in listed.stdout.splitlines():
            symbol, kind = line.split()[:2]
            if kind in "TDBRCVW":
                defined[symbol] = source
            elif kind == "U":
                needed.append((source, symbol))
    return [Use(source, defined[symbol], f"needs {symbol} of {defined[symbol]}") for source, symbol in sorted(needed)
            if defined.get(symbol, source) != source]


def resolve_import(top, module):
    """The path of a module of ours, or None."""
    package, *rest = module.split(".")
    if package not in PACKAGES or module in COMPILED:
        return None
    base = os.path.join(PACKAGES[package], *rest)
    for path in (base + ".py", os.path.join(base, "__init__.py")):
        if os.path.exists(os.path.join(top, path)):
            return path
    return None


def import_uses(top, package):
    """Uses between the modules of a package. An import in a function counts too."""
    uses = []
    directory = PACKAGES[package]
    for path in files(top, directory, r"\.py$"):
        names = os.path.relpath(path, directory)[:-len(".py")].split(os.sep)
        here = [package, *names][:-1]  # the package that a relative import starts from
        for node in ast.walk(ast.parse(read(top, path), path)):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                start = here[:len(here) - node.level + 1] if node.level else []
                module = ".".join(start + ([node.module] if node.module else []))
                # `from package import name`: the name may be a module of its own
                modules = [full if full in COMPILED or resolve_import(top, full) else module
                           for full in (f"{module}.{alias.name}" for alias in node.names)]
            else:
                continue
            for module in dict.fromkeys(modules):
                used = resolve_import(top, module)
                if used and used != path:
                    uses.append(Use(path, used, f"imports {module}"))
    return uses


def level_of(part, path):
    """(number of the level, name of the room) of a file, or None."""
    owner, _, inside = path.partition("/")
    if owner != part and not any(inside.startswith(shared + "/") for shared in SHARED.get(part, ())):
        return None
    for number, rooms in enumerate(ORDER[part]):
        for room in rooms:
            if inside == room or inside.startswith(room + "/"):
                return number, room
    return None


def wrong_rooms(part, paths, uses):
    """Complaints about files without a room and about arrows to a later room."""
    complaints = [f"{path} stands in no room of {part}: {', '.join(room for row in ORDER[part] for room in row)}"
                  for path in paths if not level_of(part, path)]
    within = defaultdict(dict)  # between the rooms of one level: room -> {room: a use}
    for use in uses:
        user, used = level_of(part, use.user), level_of(part, use.used)
        if not user:
            continue  # said above
        if not used:
            complaints.append(f"{use.user} {use.how}: {part} may not use {use.used}")
        elif used[0] > user[0]:
            complaints.append(f"{use.user} {use.how}: {user[1]} stands below {used[1]}")
        elif user[1] != used[1] and user[0] == used[0]:
            within[user[1]].setdefault(used[1], use)
    for circle in circles(within):
        complaints.append("the rooms {} use each other: {}".format(", ".join(sorted(circle)), way_round(within, circle)))
    return complaints


def circles(graph):
    """The strongly connected groups of more than one node of {node: {node: ...}} (Tarjan's algorithm)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = set(stack[stack.index(node):])
            del stack[stack.index(node):]
            if len(group) > 1:
                found.append(group)

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def way_round(graph, circle):
    """Why a group is a circle: one shortest way round it, in words."""
    start = min(circle)
    ways, seen = [[start]], set()
    for way in ways:
        for other in sorted(set(graph.get(way[-1], ())) & circle):
            if other == start:
                steps = [graph[a][b] for a, b in zip(way, [*way[1:], start])]
                return "; ".join(f"{use.user} {use.how}" for use in steps)
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    raise AssertionError("a circle has a way round it")


def unit(path):
    """What counts as one file: a .c and its .h."""
    return re.sub(r"\.(c|h)$", "", path)


def wrong_cycles(uses):
    graph = defaultdict(dict)
    for use in uses:
        if unit(use.user) != unit(use.used):
            graph[unit(use.user)].setdefault(unit(use.used), use)
    return ["{} need each other: {}".format(", ".join(sorted(circle)), way_round(graph, circle)) for circle in circles(graph)]


def wrong_python(top):
    complaints = []
    for part in ("ext", "tracer", "bench", "tests"):
        for path in files(top, part, C_FILE):
            if not path.startswith("ext/py/"):
                complaints += [f"{path} includes {name}: only ext/py may use Python's headers"
                               for _, name in includes(top, path) if HEADERS_OF_PYTHON.match(name)]
    return complaints


def check(top, objects=None):
    """{rule: complaints}."""
    found = {}
    for part in PARTS_OF_C:
        uses, found[f"{part}: paths"] = include_uses(top, part)
        if objects:
            uses += symbol_uses(top, objects, part)
        found[f"{part}: rooms"] = wrong_rooms(part, [path for path in files(top, part, r"\.(c|h|def|sql)$")], uses)
        found[f"{part}: cycles"] = wrong_cycles(uses)
    found["python"] = wrong_python(top)
    uses = [use for use in import_uses(top, "bench") if use.used.startswith("bench/")]
    found["bench: rooms"] = wrong_rooms("bench", files(top, "bench", r"\.py$"), uses)
    found["bench: cycles"] = wrong_cycles(uses)
    found["snakefish: cycles"] = wrong_cycles(import_uses(top, "snakefish"))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--top", default=TOP)
    parser.add_argument("--objects", help="where make puts compiled files; those that are there must be up to date")
    options = parser.parse_args()
    if options.objects and not files(options.objects, ".", r"\.o$"):
        sys.exit(f"{options.objects}: no compiled file is there: make all")
    found = check(options.top, options.objects)
    for rule, complaints in found.items():
        for complaint in complaints:
            print(f"{rule}: {complaint}")
    failed = sum(map(bool, found.values()))
    print(f"{len(found) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
