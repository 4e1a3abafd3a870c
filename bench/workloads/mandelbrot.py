"""mandelbrot: the Mandelbrot set on an N x N grid, as a portable bitmap

Of the Benchmarks Game. One map over the rows; nothing goes to the workers but a row's number. The rows differ by a
factor of ten in cost, so they are handed out in several chunks for each worker.
"""

size = 500
check_size = 200
counted = 64
official = 16000
check_sha256 = "97610473750700638fc63d13cfa49d339b67c18e7f26b3f9c9acb61e746472d5"
unit = "pixels on a side"
seconds = 0.55

ITERATIONS = 50
CHUNKS_PER_WORKER = 8


def growth(size):
    return size * size


def tasks(size, workers):
    return [(y, size) for y in range(size)]


def chunksize(size, workers):
    return max(1, size // (CHUNKS_PER_WORKER * workers))


def work(task):
    """Row y of the bitmap: one bit for each pixel, 1 in the set, the first in the highest bit; padded to a byte."""
    y, n = task
    imaginary = 2.0 * y / n - 1.0
    bits = 0
    for x in range(n):
        # Each coordinate from its own x: a running sum would gather rounding errors, and move pixels.
        c = complex(2.0 * x / n - 1.5, imaginary)
        z = c
        bits <<= 1
        for _ in range(ITERATIONS - 1):
            z = z * z + c
            if abs(z) > 2.0:
                break
        else:
            bits |= 1
    width = (n + 7) // 8
    return (bits << (8 * width - n)).to_bytes(width, "big")


def combine(size, rows):
    return b"P4\n%d %d\n" % (size, size) + b"".join(rows)
