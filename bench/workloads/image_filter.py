"""image-filter: a median filter over a grey image in a numpy array, in stripes

Arrays go to the workers and come back, by whatever way a runtime has for them. Work and data are even.
"""
size = 2000
check_size = 60
unit = "pixels on a side"
seconds = 0.45
same_tasks = True
packages = {"numpy": "python3-numpy"}

STRIPES = 16
ROUNDS = 2  # one on top of the other


def growth(size):
    return size * size


def image(size):
    """Rings, with noise that is the same everywhere and always: from a mix of the coordinates' bits."""
    import numpy

    y, x = numpy.mgrid[0:size, 0:size].astype(numpy.uint64)
    mixed = (x * 2654435761 + y * 40503 + x * y * 97) & 0xFFFFFFFF
    noise = ((mixed ^ (mixed >> numpy.uint64(13))) * 1540483477 & 0xFFFFFFFF) >> numpy.uint64(24)
    rings = ((x * x + y * y) // (1 + size // 8)) & 255
    return numpy.where(noise < 40, noise * 6, rings).astype(numpy.uint8)


def work(stripe):
    """The median of each pixel and its eight neighbours; a stripe comes with a pixel more on all four sides."""
    import numpy

    height, width = stripe.shape[0] - 2, stripe.shape[1] - 2
    near = [stripe[dy:dy + height, dx:dx + width] for dy in range(3) for dx in range(3)]
    return numpy.partition(numpy.stack(near), 4, axis=0)[4]


def prepare(size):
    """Numpy is there before the region, as in any program that has an image to filter."""
    import numpy  # noqa: F401


def program(size, workers, map):
    import numpy

    picture = image(size)
    bounds = [size * k // STRIPES for k in range(STRIPES + 1)]
    for _ in range(ROUNDS):
        framed = numpy.pad(picture, 1, mode="edge")
        stripes = [framed[first:end + 2] for first, end in zip(bounds, bounds[1:]) if end > first]
        picture = numpy.concatenate(map(work, stripes, 1))
    return b"P5\n%d %d\n255\n" % (size, size) + picture.tobytes()
