"""What the READMEs and CONTRIBUTING.md say is so: their programs print what stands there, and what they name exists."""

import ast
import functools
import glob
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import readme  # noqa: E402

DOCUMENTS = readme.documents()
ROOMS = ("ext", "tracer", "bench", "analysis", "tests")
EVERY_PROGRAM = [pytest.param(program, printed, id=f"{document}-{i}") for document in DOCUMENTS
                 for i, (program, printed) in enumerate(readme.programs(document))]
ALL_SOURCES = readme.sources()


def environment(**more):
    env = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEFISH_")}
    return {**env, "PYTHONPATH": os.path.join(readme.BUILD, "lib"), **more}


def run(command, cwd=readme.TOP, **more):
    return subprocess.run(command, cwd=cwd, env=environment(**more), capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def words():
    """Every identifier in the sources."""
    found = set()
    for path in ALL_SOURCES:
        if os.path.abspath(path) not in (os.path.abspath(__file__), os.path.abspath(readme.__file__)):
            with open(path, encoding="utf-8", errors="replace") as file:
                found.update(re.findall(r"[A-Za-z_]\w*", file.read()))
    return found


# ---- what they show ----


@pytest.mark.parametrize("program, printed", EVERY_PROGRAM)
def test_a_program_prints_what_stands_below_it(program, printed, tmp_path):
    (tmp_path / "program.py").write_text(program)
    done = run([sys.executable, "program.py"], cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == (printed, "", 0)


def merges(program):
    """(what stands before the first call with a merge or with share, the rest, the names that it prints first), or None."""
    statements = ast.parse(program).body
    for at, statement in enumerate(statements):
        calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
        given = [argument for call in calls for argument in (*call.args, *(keyword.value for keyword in call.keywords))]
        shares = [call for call in calls for keyword in call.keywords if keyword.arg == "share" and call.func.attr != "explain"]
        if shares or any(isinstance(argument, ast.Name) and argument.id.startswith("merge") for argument in given):
            before, rest = (ast.unparse(ast.Module(part, [])) for part in (statements[:at], statements[at:]))
            there = {node.id for node in ast.walk(ast.parse(before)) if isinstance(node, ast.Name)}
            return before, rest, [name for name in re.findall(r"^print\((\w+)", rest, re.M) if name in there]
    return None


# those that print what was merged, and so can be told
MERGES = [pytest.param(*found, id=one.id) for one in EVERY_PROGRAM if (found := merges(one.values[0])) and found[2]
          and "Conflict" not in found[1]]


@pytest.mark.parametrize("before, rest, shown", MERGES)
def test_a_merge_that_is_shown_is_right_each_time_it_is_called(before, rest, shown, tmp_path):
    """A child inherits what was merged before, so a merge that adds more than the change would be right only once. A
    minimum changes nothing when it is found again."""
    assert shown
    (tmp_path / "program.py").write_text(f"""{before}
import copy, json, sys
values = [copy.deepcopy([globals()[name] for name in {shown}])]
for time in range(3):
    exec({rest!r})
    values.append(copy.deepcopy([globals()[name] for name in {shown}]))
print("\\n" + json.dumps(values))
""")
    done = run([sys.executable, "program.py"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    start, *after = ({f"{i} {key}": number for i, value in enumerate(values)
                      for key, number in (value.items() if isinstance(value, dict) else [("", value)])}
                     for values in json.loads(done.stdout.splitlines()[-1]))
    added = {key: number - start.get(key, 0) for key, number in after[0].items()}
    assert any(added.values())
    for times, values in enumerate(after, 1):
        changes = 1 if f"'{shown[0]}': min" in rest else times
        assert values == {key: start.get(key, 0) + changes * number for key, number in added.items()}


def test_there_are_merges_of_map_and_of_thread():
    assert len(MERGES) >= 3
    assert {call for one in MERGES for call in ("Thread", "map") if f"snakefish.{call}(" in one.values[1]} == {"Thread", "map"}


def test_there_are_programs_of_every_class():
    shown = "".join(program for document in DOCUMENTS for program, _ in readme.programs(document))
    for name in ("Thread(", "Channel(", "Generator(", ".map(", ".starmap(", ".imap(", ".wait(", "trace.session("):
        assert name in shown


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_python_block_has_its_output_or_is_the_file_of_a_recipe(document):
    made = readme.recipes(document).values()
    for language, body, _, follower, _ in readme.blocks(document):
        assert language != "python" or follower == "text" or body in made, body


def plain(line):
    """A line of the analysis without its numbers."""
    return re.sub(r"\s+", " ", re.sub(r"-?\d+(\.\d+)?", "#", line)).strip()


@pytest.mark.parametrize("document", ["README.md", "tracer/README.md"])
def test_an_analysis_that_is_shown_has_the_lines_of_one_that_is_made(document, tmp_path):
    shown = [body for language, body, _, _, _ in readme.blocks(document) if language == "text" and "faster" in body]
    assert len(shown) == 1
    (tmp_path / "throws.py").write_text(next(p for p, _ in readme.programs("README.md") if "throws" in p))
    collector = os.path.join(readme.BUILD, "bin", "snakefish-trace")
    recorded = run([collector, "record", "-o", "run.db", "--", sys.executable, "throws.py"], cwd=tmp_path)
    assert recorded.returncode == 0, recorded.stderr
    made = {plain(line) for line in run([collector, "analyze", "run.db"], cwd=tmp_path).stdout.splitlines()}
    assert {plain(line) for line in shown[0].splitlines()} <= made


def test_the_finding_of_the_front_page_is_found(tmp_path):
    """To transfer less would gain most, and does."""
    costs = {}
    shown = {"throws": next(p for p, _ in readme.programs("README.md") if "def throws" in p),
             "hits": next(p for p, _ in readme.programs("tracer/README.md") if "def hits" in p)}
    collector = os.path.join(readme.BUILD, "bin", "snakefish-trace")
    for name, program in shown.items():
        (tmp_path / f"{name}.py").write_text(program)
        assert run([collector, "record", "-o", f"{name}.db", "--", sys.executable, f"{name}.py"], cwd=tmp_path).returncode == 0
        assert run([collector, "analyze", f"{name}.db"], cwd=tmp_path).returncode == 0
        db = sqlite3.connect(tmp_path / f"{name}.db")
        costs[name] = dict(db.execute("SELECT what, speedup FROM what_if"))
        costs[name, "duration"] = dict(db.execute("SELECT name, value FROM efficiency"))["duration_ns"]
        db.close()
    assert max(costs["throws"], key=costs["throws"].get) == "transfer"
    assert costs["throws"]["transfer"] > 1.2 > costs["hits"]["transfer"]
    assert costs["hits", "duration"] < costs["throws", "duration"]


# ---- what they name ----


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document):
    for path, anchor in readme.links(document):
        assert os.path.exists(os.path.join(readme.TOP, path)), path
        assert not anchor or anchor in readme.anchors(path), f"{path}#{anchor}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_named_exists(document):
    missing = [path for path in readme.paths(document) if not readme.files_of(document, path)]
    assert not missing


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_function_that_is_named_exists(document, words):
    assert [name for name in readme.functions(document) if name not in words] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_variable_of_the_environment_is_read_somewhere(document):
    named = set(re.findall(r"\bSNAKEFISH_[A-Z_]+", readme.text(document)))
    sources = "".join(open(path, encoding="utf-8", errors="replace").read() for path in ALL_SOURCES)
    assert [name for name in named if f'"{name}"' not in sources] == []


@pytest.mark.parametrize("room", ROOMS)
def test_the_map_of_a_part_has_all_of_its_rooms(room):
    there = {name for name in os.listdir(os.path.join(readme.TOP, room))
             if os.path.isdir(os.path.join(readme.TOP, room, name)) and not name.startswith(("_", "."))}
    shown = {path.split("/")[0] for path in readme.paths(f"{room}/README.md")}
    assert there - shown == set()


@pytest.mark.parametrize("part", ("ext", "tracer"))
def test_the_map_of_a_part_names_every_source_file(part):
    """In the row of its room. A header is not named if a source file beside it has its name."""
    rows = re.findall(r"^\| `([^`]+/[^`]*)` \| (.*) \|$", readme.text(f"{part}/README.md"), re.M)
    shown = {os.path.normpath(room): set(re.findall(r"`([\w.]+)`", text)) for room, text in rows}
    sources = [path for path in glob.glob("**", root_dir=os.path.join(readme.TOP, part), recursive=True)
               if path.endswith((".c", ".py"))]
    assert len(sources) > 40
    assert [path for path in sources
            if path not in shown and os.path.basename(path) not in shown.get(os.path.dirname(path), ())] == []


def test_the_tests_can_fail():
    """What is looked for is found: a pattern that finds nothing would agree with everything."""
    assert len(list(readme.paths("ext/README.md"))) > 20 and len(readme.functions("ext/README.md")) > 20
    assert not readme.files_of("ext/README.md", "core/ring/party.c") and not readme.files_of("README.md", "ext/{abi,nowhere}/")
    assert readme.files_of("ext/README.md", "core/ring/ring.{c,h}") and readme.files_of("ext/README.md", "ring.c")
    assert len(list(readme.commands("CONTRIBUTING.md"))) > 10 and list(readme.links("README.md"))


# ---- commands ----


@functools.lru_cache(maxsize=None)  # the documents show some commands often
def help_of(*command):
    return run([*command, "--help"]).stdout


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_takes_the_options_that_stand_there(document):
    makefile = open(os.path.join(readme.TOP, "Makefile"), encoding="utf-8").read()
    for line in readme.commands(document):
        words = re.split(r"[;|&<>]", line)[0].partition(" -- ")[0].split()
        if words[0] == "make":
            for target in (word for word in words[1:] if "=" not in word and not word.startswith("-")):
                assert re.search(rf"^{target}:", makefile, re.M) or os.path.exists(os.path.join(readme.TOP, target)), line
            continue
        if words[0] == "snakefish-trace":
            shown = help_of(os.path.join(readme.BUILD, "bin", "snakefish-trace"), words[1])
        elif words[1:3] == ["-m", "bench"]:
            shown = help_of(sys.executable, "-m", "bench", words[3])
        elif words[1].endswith(".py") and "/" in words[1]:
            path = os.path.join(readme.TOP, words[1])
            assert os.path.exists(path), line
            shown = open(path, encoding="utf-8").read()  # not all of them have --help
        else:
            continue
        assert shown, line
        for option in (word for word in words if word.startswith("--")):
            assert option.partition("=")[0] in shown, line


# ---- the parts that programs write ----


def test_the_table_of_events_is_the_collectors():
    assert readme.events_in_readme() == readme.events()


def test_the_table_of_numbers_is_filled():
    found = readme.numbers_in_readme()
    assert list(found) == [name for name, _ in readme.NUMBERS]
    for name, cells in found.items():
        assert len(cells) == len(readme.NUMBERS_RUNTIMES) and "?" not in "".join(cells), name
        assert all(re.fullmatch(r"[\d.]+ (s|ms|us|ns)|–", cell) for cell in cells), name


def test_the_table_of_numbers_is_made_of_a_session(tmp_path):
    database = tmp_path / "bench.db"
    done = run([sys.executable, "-m", "bench", "run", "--quick", "--filter", "spawn-join", "--runtimes",
                "snakefish,multiprocessing", "-o", str(database)])
    assert done.returncode == 0, done.stderr
    row = next(line for line in readme.numbers(database).splitlines() if line.startswith("| start"))
    assert re.fullmatch(r"\| start a process, take its result, join it \| [\d.]+ (us|ms) \| [\d.]+ (us|ms) \| – \| – \|", row)


def test_the_front_page_is_read_in_a_minute():
    assert len(readme.text("README.md").splitlines()) < 150


# ---- guarantees ----


def test_every_guarantee_names_a_test_that_exists():
    named = re.findall(r"`((?:py|core|stress|tracer)/[\w/.]+)::(\w+)`", readme.text("tests/README.md"))
    assert len(named) >= 35
    for file, name in named:
        with open(os.path.join(readme.TOP, "tests", file), encoding="utf-8") as source:
            assert re.search(rf"^(def {name}\(|TEST\({name}\))", source.read(), re.M), f"{file}::{name}"


# ---- recipes ----


def test_the_workload_and_the_runtime_of_contributing_run(tmp_path):
    added = {path: body for path, body in readme.recipes("CONTRIBUTING.md").items() if path.startswith("bench/")}
    assert {os.path.dirname(path) for path in added} == {"bench/workloads", "bench/runtimes"}
    for path, body in added.items():
        target = tmp_path / "extra" / os.path.relpath(path, "bench")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body)
    names = {os.path.dirname(path): os.path.basename(path)[:-3].replace("_", "-") for path in added}
    database = str(tmp_path / "bench.db")
    done = run([sys.executable, "-m", "bench", "run", "--quick", "--filter", names["bench/workloads"], "--runtimes",
                f"sequential,{names['bench/runtimes']}", "-o", database], SNAKEFISH_BENCH_EXTRA=str(tmp_path / "extra"))
    assert done.returncode == 0, done.stdout + done.stderr
    db = sqlite3.connect(database)
    found = set(db.execute("SELECT workload, runtime, status FROM sample"))
    db.close()
    assert found == {(names["bench/workloads"], runtime, "ok") for runtime in ("sequential", names["bench/runtimes"])}


def test_the_figure_of_contributing_draws():
    """With data and without, on a page and on a phone."""
    if not shutil.which("Rscript"):
        pytest.skip("there is no Rscript")
    recipe = readme.recipes("CONTRIBUTING.md")["analysis/figures/figure_processes.R"]
    program = f"""
tests <- "tests/analysis"
source("tests/analysis/setup.R")
{recipe}
stopifnot(grepl("no readings of memory", figure_processes(list(memory = NULL))$missing))
memory <- expand.grid(program = c("fasta", "life"), runtime = c("snakefish", "joblib"), workers = c(1, 2),
                      stringsAsFactors = FALSE)
figure <- figure_processes(list(memory = transform(memory, processes = workers + 1)))
stopifnot(is.null(figure$missing), grepl("The most processes were held by", figure$finding))
written <- write_figure(figure, scratch)
stopifnot(grepl("<svg", written$svg), grepl("<svg", written$narrow_svg))
"""
    done = run(["Rscript", "-e", program])
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_same_everywhere():
    def found(path, pattern):
        with open(os.path.join(readme.TOP, path), encoding="utf-8") as file:
            return re.search(pattern, file.read()).group(1)

    version = found("pyproject.toml", r'version = "(.*?)"')
    assert found("ext/snakefish/__init__.py", r'__version__ = "(.*?)"') == version
    assert found("tracer/base/version.h", r'TRACER_VERSION "(.*?)"') == version
    assert found("CHANGELOG.md", r"## \[(\d.*?)\]") == version
