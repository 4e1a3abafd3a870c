"""The programs' outputs, against what is published and against an independent computation."""
import hashlib
import itertools
import random
import tempfile
from collections import Counter

import pytest

from bench.run import catalog
from bench.support import ready
from bench.runtimes import sequential

# A size for each that takes no time, for what does not need a published one.
SMALL = {"binary-trees": 6, "fannkuch-redux": 6, "fasta": 300, "k-nucleotide": 300, "mandelbrot": 30, "regex-redux": 300,
         "spectral-norm": 30, "word-count": 1, "monte-carlo": 3, "memoised-search": 1000, "pipeline": 3,
         "image-filter": 40, "life": 30}
PROGRAMS = sorted(SMALL)
MAPS = [name for name in PROGRAMS if catalog.workload(name).needs == "pool"]
UNPUBLISHED = ("monte-carlo", "pipeline", "image-filter")  # held against independent computations below
FOLDS = [name for name in PROGRAMS if catalog.workload(name).needs == "fold"]


@pytest.fixture(autouse=True)
def inputs(tmp_path, monkeypatch):
    """Where the programs' input files go."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def found(name):
    workload = catalog.workload(name)
    if workload.lacks:
        pytest.skip(workload.lacks)
    return workload


def in_turn(f, args, chunksize):
    return [f(x) for x in args]


def output(name, size, workers=1, call=None):
    """Of the sequential runtime, where the program is given no other function to call."""
    workload = found(name)
    workload.prepare(size)
    if call:
        return workload.output(size, workers, call)
    with ready.program(sequential, workload, size, workers) as run:
        return run()


@pytest.mark.parametrize("name", MAPS)
def test_the_tasks_and_chunks_are_the_same_with_any_number_of_workers_where_that_is_stated(name):
    def calls(workers):
        seen = []

        def map(f, args, chunksize):
            seen.append((f.__name__, len(args), chunksize))
            return in_turn(f, args, chunksize)

        output(name, found(name).check_size, workers, map)
        return seen

    assert found(name).same_tasks == (calls(2) == calls(5))


def test_every_program_is_tested():
    assert PROGRAMS == [name for name in catalog.workload_names() if catalog.kind(name) == "program"]


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in UNPUBLISHED])
def test_the_output_at_the_check_size_is_the_one_that_is_stated(name):
    workload = found(name)
    right = workload.published_sha256(workload.check_size)
    assert hashlib.sha256(output(name, workload.check_size)).hexdigest() == right


def test_fasta_of_1000_has_the_published_length_and_lines():
    lines = output("fasta", 1000).decode().splitlines(keepends=True)
    assert sum(map(len, lines)) == 10245
    assert lines[1] == "GGCCGGGCGCGGTGGCTCACGCCTGTAATCCCAGCACTTTGGGAGGCCGAGGCGGGCGGA\n"
    assert lines[lines.index(">TWO IUB ambiguity codes\n") + 1] == (
        "cttBtatcatatgctaKggNcataaaSatgtaaaDcDRtBggDtctttataattcBgtcg\n")
    assert lines[-1] == "ggaagtgaaaagataaatat\n"


def test_fasta_with_computed_states_is_the_one_that_draws_them_all():
    """The definition: one state through both random sequences, a search from the first letter on."""
    fasta = found("fasta").module
    n, state, text = 700, 42, [fasta.SEQUENCES[0][0]]
    copied = (fasta.ALU * 10)[:2 * n]
    text += [copied[at:at + 60] for at in range(0, len(copied), 60)]
    for header, times, (letters, weights) in fasta.SEQUENCES[1:]:
        drawn = ""
        for _ in range(times * n):
            state = (state * 3877 + 29573) % 139968
            total = 0.0
            for letter, weight in zip(letters, weights):
                total += weight
                if state / 139968 < total:
                    break
            drawn += letter
        text += [header] + [drawn[at:at + 60] for at in range(0, len(drawn), 60)]
    assert output("fasta", n) == ("\n".join(text) + "\n").encode()


def test_regex_redux_of_fasta_100000_is_the_published_one():
    lines = output("regex-redux", 100_000).decode().splitlines()
    assert [int(line.split()[1]) for line in lines[:9]] == [6, 26, 86, 58, 113, 31, 31, 32, 43]
    assert lines[9:] == ["", "1016745", "1000000", "547899"]


@pytest.mark.parametrize("size, flips", ((4, 4), (5, 7), (6, 10), (8, 22)))
def test_fannkuch_redux_has_the_published_maxima(size, flips):
    assert output("fannkuch-redux", size).decode().splitlines()[1] == f"Pfannkuchen({size}) = {flips}"


def test_fannkuch_redux_visits_every_permutation_once_in_the_order_of_rotations():
    module = found("fannkuch-redux").module
    orders = [tuple(module.permutation(5, number)[0]) for number in range(120)]
    assert sorted(orders) == sorted(itertools.permutations(range(5)))
    assert orders[:4] == [(0, 1, 2, 3, 4), (1, 0, 2, 3, 4), (1, 2, 0, 3, 4), (2, 1, 0, 3, 4)]


def test_binary_trees_allocates_every_node():
    module = found("binary-trees").module
    nodes = []

    def walk(tree):
        nodes.append(tree)
        for side in tree:
            side and walk(side)

    tree = module.bottom_up(5)
    walk(tree)
    assert len(set(map(id, nodes))) == len(nodes) == 63


def test_k_nucleotide_counts_what_a_search_finds():
    module = found("k-nucleotide").module
    lines = output("k-nucleotide", 2000).decode().splitlines()
    text = module.third_sequence(module.fasta.read_file(2000))
    for line in lines[-5:]:
        count, word = line.split("\t")
        assert int(count) == sum(text.startswith(word, at) for at in range(len(text)))


@pytest.mark.parametrize("workers", (1, 2, 3, 7))
def test_word_count_loses_no_word_at_the_bounds_of_its_parts(workers):
    assert output("word-count", 1, workers) == found("word-count").module.expected(1)


def test_monte_carlo_throws_each_darts_once():
    hits = 0
    for seed in range(2):
        draw = random.Random(seed)
        hits += sum(draw.random() ** 2 + draw.random() ** 2 <= 1 for _ in range(100_000))
    assert output("monte-carlo", 2).startswith(b"%d of 200000: " % hits)


@pytest.mark.parametrize("below, longest", ((1000, b"871: 179"), (10_000, b"6171: 262"), (100_000, b"77031: 351")))
def test_memoised_search_finds_the_known_chains(below, longest):
    assert output("memoised-search", below) == longest + b" terms\n"


def test_pipeline_sums_up_all_that_was_drawn():
    module = found("pipeline").module

    def terms(n):
        return 1 if n == 1 else 1 + terms(3 * n + 1 if n % 2 else n // 2)

    lengths = Counter(terms(n) for batch in module.draw(2) for n in batch)
    most = max(lengths.values())
    assert output("pipeline", 2).startswith(b"1000 numbers, %d times " % most)


def test_image_filter_is_the_median_of_nine():
    workload = found("image-filter")
    picture, n = workload.module.image(12).tolist(), 12
    for _ in range(workload.module.ROUNDS):
        def at(y, x):
            return picture[min(max(y, 0), n - 1)][min(max(x, 0), n - 1)]

        picture = [[sorted(at(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))[4] for x in range(n)]
                   for y in range(n)]
    assert output("image-filter", 12) == b"P5\n12 12\n255\n" + bytes(v for row in picture for v in row)


def test_life_is_the_rule_cell_by_cell_and_settles_with_116():
    module = found("life").module
    middle = module.WIDTH // 2
    alive = {(middle + y, middle + x) for y, bits in enumerate(module.R_PENTOMINO) for x in range(3) if bits >> x & 1}
    for _ in range(25):
        near = Counter((y + dy, x + dx) for y, x in alive for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
        alive = {cell for cell, n in near.items() if n == 3 or n == 2 and cell in alive}
    head, *rows = output("life", 25).decode().splitlines()
    assert head == f"generation 25: {len(alive)} cells"
    assert {(y, x) for y, row in enumerate(rows) for x in range(512) if int(row, 16) >> x & 1} == alive
    assert output("life", 1103).startswith(b"generation 1103: 116 cells\n")


def naive_mandelbrot(n):
    """The definition, in real arithmetic, pixel by pixel; shares nothing with the workload."""
    picture = bytearray(f"P4\n{n} {n}\n", "ascii")
    for y in range(n):
        ci = 2.0 * y / n - 1.0
        row = []
        for x in range(n):
            cr = 2.0 * x / n - 1.5
            zr = zi = 0.0
            iteration = 0
            while iteration < 50 and zr * zr + zi * zi <= 4.0:
                zr, zi = zr * zr - zi * zi + cr, 2.0 * zr * zi + ci
                iteration += 1
            row.append(1 if zr * zr + zi * zi <= 4.0 else 0)
        row += [0] * (-len(row) % 8)
        for at in range(0, len(row), 8):
            picture.append(int("".join(map(str, row[at:at + 8])), 2))
    return bytes(picture)


def test_mandelbrot_200_is_a_bitmap_of_its_size():
    picture = output("mandelbrot", 200)
    assert picture.startswith(b"P4\n200 200\n")
    assert len(picture) == len(b"P4\n200 200\n") + 200 * 200 // 8


def test_mandelbrot_200_is_the_independently_computed_one():
    picture = naive_mandelbrot(200)
    assert output("mandelbrot", 200) == picture
    assert hashlib.sha256(picture).hexdigest() == catalog.workload("mandelbrot").published_sha256(200)


def test_mandelbrot_pads_a_row_to_a_byte():
    assert output("mandelbrot", 13) == naive_mandelbrot(13)


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_output_does_not_depend_on_the_workers(name):
    right = output(name, SMALL[name])
    assert all(output(name, SMALL[name], workers) == right for workers in (2, 3, 7, 31))


@pytest.mark.parametrize("name", FOLDS)
def test_what_chunks_change_is_merged_to_the_same_output(name):
    """A fold made of a map, as runtimes without one of their own have it."""
    workload = found(name)
    right = output(name, SMALL[name])
    workload.prepare(SMALL[name])
    state = {key: value for key, value in vars(workload.module).items() if not key.startswith("_")}

    def elsewhere(f, chunks, chunksize):
        """Each chunk leaves the module's globals as they were, as another process would."""
        import pickle

        results = []
        for chunk in chunks:
            before = pickle.dumps({key: vars(workload.module)[key] for key, value in state.items()
                                   if isinstance(value, (dict, int))})
            results.append(pickle.loads(pickle.dumps(f(chunk))))
            for key, value in pickle.loads(before).items():
                if isinstance(value, dict):
                    state[key].clear()
                    state[key].update(value)
                else:
                    setattr(workload.module, key, value)
        return results

    assert workload.output(SMALL[name], 2, ready.of_map(workload, elsewhere)) == right


@pytest.mark.parametrize("name", MAPS)
def test_a_broken_work_function_breaks_the_check(name):
    """The published hash notices one wrong result."""
    workload = found(name)
    size = min(workload.check_size, 200)
    right = output(name, size, 2)

    def wrong(f, args, chunksize):
        results = in_turn(f, args, chunksize)
        results[-1] = results[0]
        return results

    # In two tasks, so that there is another result to put in its place.
    assert output(name, size, 2, wrong) != right


def test_every_runtime_gets_the_same_chunk_size():
    workload = catalog.workload("spectral-norm")
    asked = []

    def note(f, args, chunksize):
        asked.append((len(args), chunksize))
        return in_turn(f, args, chunksize)

    workload.output(10, 4, note)
    assert set(asked) == {(4, 1)}
    assert catalog.workload("mandelbrot").chunksize(550, 2, 550) == 34


@pytest.mark.parametrize("name", PROGRAMS)
def test_work_grows_with_the_size(name):
    workload = catalog.workload(name)
    growth = workload.module.growth
    assert growth(workload.check_size) > 0
    assert growth(2 * workload.size) >= 1.9 * growth(workload.size)
