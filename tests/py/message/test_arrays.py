"""Numpy arrays, and other buffers that travel out of band: each arrives in an object of its own, with the memory that it
needs and no more, and is what pickle would have made of it."""
import gc
import pickle
import subprocess
import sys

import pytest

import snakefish

numpy = pytest.importorskip("numpy")

CHANNEL = snakefish.Channel(1 << 26)
LARGE = 1 << 17  # bytes; from 64 KiB on every buffer travels out of band


def through(thing):
    CHANNEL.send_pyobj(thing)
    return CHANNEL.receive_pyobj()


def through_map(thing):
    return snakefish.map(lambda _: thing, [0])[0]


def through_pieces(thing):
    """A result of more than a MiB comes in several pieces."""
    received, padding = through_map((thing, bytes(3 << 20)))
    assert padding == bytes(3 << 20)
    return received


ways = pytest.mark.parametrize("way", [through, through_map, through_pieces])
DTYPES = ["u1", "f8", ">i4", "c16", "M8[ns]", "S7", "U3", "?", [("a", "i4"), ("b", "f8")], "f2", "V5", "(2,2)f4"]
SHAPES = [(0,), (1,), (), (10,), (3, 4), (0, 5), (5, 0, 2), (2, 3, 4), (30_000,), (150, 200), (3, 40, 250)]


def filled(dtype, shape, order="C"):
    array = numpy.zeros(shape, dtype=dtype, order=order)
    raw = array.ravel(order="K").view("u1") if array.size else numpy.zeros(0, "u1")
    if raw.base is not None and numpy.shares_memory(raw, array):
        raw[...] = (numpy.arange(raw.size) * 7 % 5).astype("u1")
    return array


def same(received, sent):
    expected = pickle.loads(pickle.dumps(sent, 5))
    assert type(received) is type(expected) and received.dtype == expected.dtype and received.shape == expected.shape
    assert received.strides == expected.strides or not received.size
    for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS", "WRITEABLE", "ALIGNED"):
        assert received.flags[flag] == expected.flags[flag], flag
    assert received.tobytes("A") == expected.tobytes("A")


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arrays_of_all_types_shapes_and_orders(dtype, order):
    for shape in SHAPES:
        sent = filled(dtype, shape, order)
        received = through(sent)
        same(received, sent)
        received[...] = sent  # it may be written


@ways
def test_an_array_owns_its_memory_and_can_be_resized(way):
    for length in (0, 1, 10, 100, 30_000, 3_000_000):
        received = way(numpy.arange(length))
        assert received.flags.owndata and received.base is None
        received.resize(length + 5, refcheck=False)
        assert (received[:length] == numpy.arange(length)).all() and not received[length:].any()


@ways
def test_an_array_in_fortran_order_owns_its_memory(way):
    for shape in ((3, 4), (200, 300), (20, 30, 40)):
        sent = numpy.asfortranarray(numpy.arange(numpy.prod(shape)).reshape(shape))
        received = way(sent)
        same(received, sent)
        assert received.flags.owndata


@ways
def test_what_is_read_only_stays_so_and_what_is_not_too(way):
    for length in (10, 30_000):
        sent = numpy.arange(length)
        sent.flags.writeable = False
        received = way([sent, numpy.arange(length)])
        same(received[0], sent)
        with pytest.raises(ValueError, match="read-only"):
            received[0][0] = 1
        received[1][0] = 1


def test_arrays_that_are_no_block():
    base = numpy.arange(40_000).reshape(200, 200)
    for sent in (base[::2, ::3], base[:, 5:9], base[::-1], base.T[3:], numpy.broadcast_to(base[0], (50, 200)),
                 numpy.arange(90_000).reshape(30, 30, 100).transpose(2, 0, 1)):
        received = through(sent)
        assert (received == sent).all() and received.dtype == sent.dtype


class Tagged(numpy.ndarray):
    pass


def test_arrays_of_objects_subclasses_and_masked_ones():
    masked = numpy.ma.masked_array(numpy.arange(20_000), mask=numpy.arange(20_000) % 2 == 0)
    received = through([numpy.array([1, "x", None], dtype=object), numpy.arange(20_000).view(Tagged), masked,
                        numpy.float64(1.5), numpy.dtype("f8")])
    assert list(received[0]) == [1, "x", None] and type(received[1]) is Tagged and type(received[3]) is numpy.float64
    assert received[2].sum() == masked.sum() and received[4] == numpy.dtype("f8")


def test_one_array_in_many_places_is_one_array():
    array = numpy.arange(30_000)
    received = through({"a": array, "list": [array, array[:10]], "object": numpy.array([array, None], dtype=object)})
    assert received["a"] is received["list"][0] is received["object"][0]
    received["a"][0] = 99
    assert received["list"][1][0] == 0  # a view is pickled as an array of its own


def test_a_small_array_that_is_kept_does_not_keep_the_message():
    """The memory of 20 images of 8 MiB is freed, although a thumbnail of each is kept."""
    def resident_mib():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * 4096 >> 20

    def shoot(x):
        image = numpy.full(1 << 20, x, dtype=float)
        return image, image[:10].copy(), bytes(1 << 20)[:50]

    before = resident_mib()
    kept = []
    for image, thumbnail, note in snakefish.imap(shoot, range(20), 1):
        kept.append((thumbnail, note))
    for x in range(20):
        image, thumbnail, note = through(shoot(x))
        kept.append((thumbnail, note))
    del image, thumbnail, note
    gc.collect()
    assert resident_mib() - before < 60


def test_large_arrays_are_copied_once_on_their_way_in():
    """At its peak the receiver holds an array of 64 MiB once, besides what the ring has."""
    program = """
import resource, numpy, snakefish
for way in "map", "channel":
    small = numpy.zeros(8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if way == "map":
        array, = snakefish.map(lambda x: numpy.ones(8 << 20), [0])
        most = 64 + 16
    else:
        channel = snakefish.Channel()
        def send():
            channel.send_pyobj(numpy.ones(8 << 20))
        with snakefish.Thread(send) as task:
            task.start()
            task.join()
            array = channel.receive_pyobj()
        most = 2 * 64 + 16 - 64  # the peak so far had 64 MiB more
    assert array.sum() == 8 << 20
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10
    assert grown < most, (way, grown)
    del array
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


class Holder:
    """Pickles its parts out of band, as users' classes may."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce_ex__(self, protocol):
        return Holder, tuple(pickle.PickleBuffer(part) for part in self.parts)


@ways
@pytest.mark.parametrize("length", [0, 1, 100, LARGE])
def test_a_users_buffers_come_out_as_pickle_makes_them(way, length):
    data = bytes(i & 0xFF for i in range(length))
    read_only = memoryview(bytearray(data)).toreadonly()
    sent = Holder(data, bytearray(data), memoryview(data), read_only, memoryview(bytearray(data)))
    received = way(sent)
    assert received.parts == pickle.loads(pickle.dumps(sent, 5)).parts
    assert [type(part) for part in received.parts] == [bytes, bytearray, bytes, bytes, bytearray]
    received.parts[1].extend(b"more")  # nobody else holds it
    if length:
        received.parts[4][0] = 99


@ways
def test_a_buffer_alone(way):
    for data in (bytes(LARGE), bytearray(LARGE), b"", bytearray(b"few")):
        received = way(pickle.PickleBuffer(data))
        assert type(received) is type(data) and received == data


def test_a_buffer_in_pieces_is_refused_as_pickle_does():
    with pytest.raises((pickle.PicklingError, BufferError)):
        through(Holder(memoryview(bytes(LARGE))[::2]))
    assert through("after it") == "after it"


def test_hundreds_of_arrays_in_one_message():
    sent = [numpy.full(n % 50, n) for n in range(3000)] + [numpy.full(10_000, n) for n in range(100)]
    for way in (through, through_map):
        received = way(sent)
        assert all((r == s).all() and r.flags.owndata for r, s in zip(received, sent)) and len(received) == len(sent)


def test_arrays_count_no_more_than_their_pickle():
    for sent in (numpy.arange(10), numpy.arange(30_000), [numpy.arange(10_000)] * 2, [numpy.arange(10_000), numpy.arange(9)],
                 numpy.frombuffer(bytes(LARGE), "u1"), numpy.frombuffer(bytes(100), "u1"), Holder(bytes(LARGE), bytes(10))):
        with snakefish.Channel(len(pickle.dumps(sent, 5))) as channel:
            channel.send_pyobj(sent)
            channel.receive_pyobj()


def increment(array):
    array += 1
    return array


class Incremented:
    def __init__(self, array):
        self.array = array

    def __reduce__(self):
        return increment, (self.array,)


def test_an_array_that_is_changed_by_what_unpickles_it():
    received = through(Incremented(numpy.zeros(30_000)))
    assert (received == 1).all() and received.flags.owndata
