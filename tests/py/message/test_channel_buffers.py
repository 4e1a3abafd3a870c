"""Channel: bytes and arrays, send_bytes and receive_bytes, len()."""

import array
import pickle

import pytest
import snakefish

numpy = pytest.importorskip("numpy")


def through(obj, size=1 << 24):
    with snakefish.Channel(size) as channel:
        channel.send_pyobj(obj)
        return channel.receive_pyobj()


@pytest.mark.diagonal
@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, 8191, 8192, 65536, 65537, 3 << 20])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes_and_bytearrays_come_back_as_what_they_were(kind, size):
    sent = kind(i * 7 & 0xFF for i in range(size))
    received = through(sent)
    assert type(received) is kind and received == sent


def test_a_subclass_of_bytes_stays_one():
    assert type(through(Special(b"abc"))) is Special


class Special(bytes):
    pass


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("shape", [(0,), (1,), (3, 4), (1000, 1000)])
def test_arrays_come_back_equal_in_their_order_and_writable(shape, order):
    sent = numpy.asarray(numpy.random.default_rng(1).random(shape), order=order)
    received = through(sent)
    assert received.dtype == sent.dtype and received.shape == sent.shape
    assert received.flags["F_CONTIGUOUS"] == sent.flags["F_CONTIGUOUS"]
    assert (received == sent).all()
    received[...] = 0  # it is writable, and no part of the ring


def test_arrays_that_are_no_block_and_those_in_containers_arrive():
    base = numpy.arange(100).reshape(10, 10)
    received = through({"strided": base[::2, ::3], "list": [base, base.T], "object": numpy.array([1, "x"], dtype=object)})
    assert (received["strided"] == base[::2, ::3]).all()
    assert (received["list"][1] == base.T).all()
    assert list(received["object"]) == [1, "x"]


def test_an_object_with_buffers_of_its_own_arrives_with_them():
    received = through(WithBuffers([b"first", bytearray(b"second"), b""]))
    assert [bytes(part) for part in received.parts] == [b"first", b"second", b""]


class WithBuffers:
    def __init__(self, parts):
        self.parts = parts

    def __reduce_ex__(self, protocol):
        return WithBuffers, ([pickle.PickleBuffer(part) for part in self.parts],)


def test_an_array_larger_than_the_room_is_refused_and_changes_nothing():
    with snakefish.Channel(4096) as channel:
        channel.send_pyobj(1)
        with pytest.raises(OverflowError):
            channel.send_pyobj(numpy.zeros(4096))
        assert len(channel) == 1 and channel.receive_pyobj() == 1


@pytest.mark.parametrize("buffer", [b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4], array.array("b", b"abc"),
                                    numpy.frombuffer(b"abc", dtype="u1")])
def test_send_bytes_takes_any_buffer_and_receive_bytes_gives_bytes(buffer):
    with snakefish.Channel(4096) as channel:
        channel.send_bytes(buffer)
        received = channel.receive_bytes()
        assert type(received) is bytes and received == b"abc"


def test_bytes_may_be_received_as_an_object_and_the_other_way_round():
    with snakefish.Channel(4096) as channel:
        channel.send_bytes(b"raw")
        assert channel.receive_pyobj() == b"raw"
        channel.send_pyobj(b"object")
        assert channel.receive_bytes() == b"object"


def test_receive_bytes_refuses_another_object_and_goes_on():
    with snakefish.Channel(4096) as channel:
        channel.send_pyobj({"a": 1})
        channel.send_bytes(b"next")
        with pytest.raises(TypeError, match="dict.*receive_pyobj"):
            channel.receive_bytes()
        assert channel.receive_bytes() == b"next"


@pytest.mark.parametrize("wrong", [1, "text", None, memoryview(b"abcdef")[::2]])
def test_send_bytes_refuses_what_has_no_block_of_bytes(wrong):
    with snakefish.Channel(4096) as channel:
        with pytest.raises((TypeError, BufferError)):
            channel.send_bytes(wrong)
        assert len(channel) == 0


def test_send_bytes_and_receive_bytes_block_and_time_out_as_the_others():
    with snakefish.Channel(1024) as channel, snakefish.Channel(1024) as until:
        with snakefish.Thread(until.receive_pyobj) as other:  # as long as it lives, it could send or make room
            other.start()
            with pytest.raises(IndexError):
                channel.receive_bytes(block=False)
            with pytest.raises(TimeoutError):
                channel.receive_bytes(timeout=0.01)
            channel.send_bytes(bytes(900))
            with pytest.raises(OverflowError):
                channel.send_bytes(bytes(900))
            with pytest.raises(TimeoutError):
                channel.send_bytes(bytes(900), block=True, timeout=0.01)
            until.send_pyobj(None)


def test_len_counts_messages_and_an_empty_channel_is_true():
    with snakefish.Channel(4096) as channel:
        assert len(channel) == 0 and channel
        for n in range(5):
            channel.send_pyobj(n)
        assert len(channel) == 5
        channel.receive_pyobj()
        assert len(channel) == 4
    with pytest.raises(RuntimeError, match="disposed"):
        len(channel)


def test_a_buffer_sent_twice_around_the_rings_end_is_whole():
    with snakefish.Channel(10007) as channel:  # a prime: messages cross the ring's end
        for n in range(200):
            sent = bytes((n + i) & 0xFF for i in range(n * 37 % 4000))
            array_sent = numpy.full(n * 13 % 500, n)
            channel.send_pyobj(sent)
            channel.send_pyobj(array_sent)
            assert channel.receive_pyobj() == sent
            assert (channel.receive_pyobj() == array_sent).all()
