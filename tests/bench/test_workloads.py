"""The programs' outputs, against what is published and against an independent computation."""
import hashlib

import pytest

from bench import catalog

PROGRAMS = ("spectral-norm", "mandelbrot")


def sequential(f, args, chunksize):
    return [f(x) for x in args]


def output(name, size, workers=1):
    return catalog.workload(name).output(size, workers, sequential)


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


def test_spectral_norm_of_100_is_the_published_one():
    assert output("spectral-norm", 100) == b"1.274219991\n"


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
    right = output(name, 30)
    assert all(output(name, 30, workers) == right for workers in (2, 3, 4, 7, 31))


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_broken_work_function_breaks_the_check(name):
    """The published hash notices one wrong result."""
    workload = catalog.workload(name)

    def wrong(f, args, chunksize):
        results = sequential(f, args, chunksize)
        results[-1] = results[0]
        return results

    # In two tasks, so that there is another result to put in its place.
    made = workload.output(workload.check_size, 2, wrong)
    assert hashlib.sha256(made).hexdigest() != workload.published_sha256(workload.check_size)


def test_every_runtime_gets_the_same_chunk_size():
    workload = catalog.workload("spectral-norm")
    asked = []

    def note(f, args, chunksize):
        asked.append((len(args), chunksize))
        return sequential(f, args, chunksize)

    workload.output(10, 4, note)
    assert set(asked) == {(4, 1)}
    assert catalog.workload("mandelbrot").chunksize(550, 2, 550) == 34
