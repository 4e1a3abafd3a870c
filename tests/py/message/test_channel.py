"""Channel: messages arrive whole, once, and in the order of each sender, and every wait ends."""
import os
import pickle
import threading
import time
from collections import deque

import pytest
from hypothesis import given, settings, strategies as st

from snakefish import Channel, Thread


def test_objects_come_out_as_they_went_in():
    with Channel(1 << 16) as channel:
        for thing in (None, True, 7, -(1 << 200), 1.5, "wörter", b"\0" * 100, [1, [2]], {"a": (1, 2)}, {3}, len):
            channel.send_pyobj(thing)
            assert channel.receive_pyobj() == thing


def test_every_message_is_received_once_with_many_senders_and_receivers():
    senders, receivers, each = 4, 3, 300
    channel = Channel(1 << 14)

    def send(number):
        for i in range(each):
            channel.send_pyobj((number, i), True)

    def receive():
        got = []
        while True:
            message = channel.receive_pyobj()
            if message is None:
                return got
            got.append(message)

    tasks = [Thread(send, args=(n,)) for n in range(senders)]
    takers = [Thread(receive) for _ in range(receivers)]
    for task in takers + tasks:
        task.start()
    for task in tasks:
        task.join()
        task.get_result()
    for _ in takers:
        channel.send_pyobj(None, True)
    lists = []
    for task in takers:
        task.join()
        lists.append(task.get_result())
    together = [message for got in lists for message in got]
    assert sorted(together) == [(n, i) for n in range(senders) for i in range(each)]
    for got in lists:
        for n in range(senders):
            mine = [i for sender, i in got if sender == n]
            assert mine == sorted(mine), "the messages of one sender stay in order"
    channel.dispose()


def test_it_works_from_a_nested_fork_in_both_directions():
    down, up = Channel(4096), Channel(4096)

    def deepest():
        up.send_pyobj(down.receive_pyobj() + 1)

    def middle():
        with Thread(deepest) as inner:
            inner.start()

    with Thread(middle) as outer:
        outer.start()
        down.send_pyobj(41)
        assert up.receive_pyobj() == 42
    down.dispose()
    up.dispose()


@pytest.mark.parametrize("size", [0, 1, 4095, 65536, 3 << 20])
def test_big_messages_pass_whole(size):
    data = os.urandom(min(size, 4096)) * (size // 4096 + 1)
    with Channel(8 << 20) as channel:
        for _ in range(5):  # crosses the ring's end
            channel.send_pyobj(data)
            assert channel.receive_pyobj() == data


def test_a_message_of_a_hundred_mebibytes_passes_the_default_channel():
    channel = Channel()
    with Thread(lambda: channel.send_pyobj(b"x" * (100 << 20))) as task:
        task.start()
        got = channel.receive_pyobj()
    assert len(got) == 100 << 20 and got.count(b"x") == len(got)
    channel.dispose()


def test_no_room_is_an_overflow_error_that_changes_nothing():
    with Channel(1024) as channel:
        sent = 0
        with pytest.raises(OverflowError, match="room"):
            while True:
                channel.send_pyobj(sent)
                sent += 1
        for _ in range(3):
            with pytest.raises(OverflowError):
                channel.send_pyobj("one too many" * 40)
        assert [channel.receive_pyobj(False) for _ in range(sent)] == list(range(sent))
        with pytest.raises(IndexError):
            channel.receive_pyobj(False)


def test_a_message_that_can_never_fit_is_refused_at_once_also_when_blocking():
    with Channel(1024) as channel:
        for block in (False, True):
            with pytest.raises(OverflowError, match="1024"):
                channel.send_pyobj(b"x" * 5000, block)
        channel.send_pyobj("still works")
        assert channel.receive_pyobj() == "still works"


def test_empty_is_an_index_error_without_blocking():
    with Channel(1024) as channel:
        for arguments, named in (((False,), {}), ((), {"block": False})):
            with pytest.raises(IndexError):
                channel.receive_pyobj(*arguments, **named)


def test_timeouts_pass_in_time_and_leave_the_channel_usable():
    channel = Channel(1024)
    with Thread(time.sleep, args=(20,)) as other:  # another process, which could send
        other.start()
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            channel.receive_pyobj(timeout=0.3)
        assert 0.3 <= time.monotonic() - started < 2
        with pytest.raises(TimeoutError):
            channel.receive_pyobj(True, 0)
        channel.send_pyobj(b"x" * 700)
        with pytest.raises(TimeoutError):
            channel.send_pyobj(b"y" * 700, True, 0.2)
        with pytest.raises(TimeoutError):
            channel.send_pyobj(b"y" * 700, block=True, timeout=0)
        assert channel.receive_pyobj() == b"x" * 700
        other.kill()
    channel.dispose()


def test_nobody_left_ends_a_receive_by_eof_and_a_send_by_broken_pipe():
    with Channel(1024) as channel:
        with pytest.raises(EOFError):
            channel.receive_pyobj()
        channel.send_pyobj(b"x" * 700)
        with pytest.raises(BrokenPipeError):
            channel.send_pyobj(b"x" * 700, True)


def test_the_end_of_the_last_other_process_wakes_a_receive():
    channel = Channel(1024)
    with Thread(time.sleep, args=(0.3,)) as task:
        task.start()
        with pytest.raises(EOFError):
            channel.receive_pyobj()
    channel.dispose()


def test_what_the_last_sender_sent_is_received_before_the_end():
    channel = Channel(1024)
    with Thread(channel.send_pyobj, args=("last words",)) as task:
        task.start()
        assert channel.receive_pyobj() == "last words"
    with pytest.raises(EOFError):
        channel.receive_pyobj(timeout=10)
    channel.dispose()


def test_two_children_that_wait_for_each_others_message_are_both_ended_by_eof_only_when_alone():
    channel = Channel(1024)
    with Thread(channel.receive_pyobj) as waiting:
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive()  # this process could send
        channel.send_pyobj("here")
    assert waiting.get_result() == "here"
    channel.dispose()


def test_another_thread_of_the_process_may_send_so_a_receive_waits_for_it():
    channel = Channel(1024)
    sender = threading.Thread(target=lambda: (time.sleep(0.4), channel.send_pyobj("late")))
    sender.start()
    assert channel.receive_pyobj() == "late"
    sender.join()
    channel.dispose()


def test_dispose_wakes_another_thread_that_blocks_and_the_error_says_so():
    channel, seen = Channel(1024), []

    def receive():
        try:
            channel.receive_pyobj()
        except RuntimeError as error:
            seen.append(str(error))

    receiver = threading.Thread(target=receive)
    receiver.start()
    time.sleep(0.2)
    channel.dispose()
    receiver.join(5)
    assert not receiver.is_alive() and "disposed" in seen[0]


def test_dispose_is_idempotent_and_ends_this_process_share_only():
    channel = Channel(4096)

    def use():
        time.sleep(0.2)
        channel.send_pyobj(1)
        return channel.receive_pyobj()

    with Thread(use) as task:
        task.start()
        channel.dispose()
        channel.dispose()
    assert task.get_result() == 1
    for call in (lambda: channel.send_pyobj(1), channel.receive_pyobj, lambda: channel.receive_pyobj(False),
                 channel.__enter__):
        with pytest.raises(RuntimeError, match="disposed"):
            call()
    assert "disposed" in repr(channel)


def test_a_name_is_shown_here_and_in_what_is_forked():
    assert repr(Channel(4096, name=None)).count("'") == 0 and "4096" in repr(Channel(4096))
    for name in "requests", "", "wörter", "it's\n\x1b[31m\u202e\0" + "x" * 100_000:
        with Channel(4096, name=name) as channel:
            assert f", {name!r}, 4096 bytes>" in repr(channel)
            with Thread(lambda: repr(channel)) as task:
                task.start()
            assert task.get_result() == repr(channel)


def test_a_name_is_a_str_that_can_be_written_and_given_by_keyword():
    for wrong in b"requests", 7:
        with pytest.raises(TypeError, match="name must be a str"):
            Channel(4096, name=wrong)
    with pytest.raises(ValueError, match="UTF-8"):
        Channel(4096, name="\ud800")
    with pytest.raises(TypeError):
        Channel(4096, "requests")


def test_a_value_that_cannot_be_pickled_sends_nothing():
    with Channel(4096) as channel:
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            channel.send_pyobj(lambda: None)
        with pytest.raises(IndexError):
            channel.receive_pyobj(False)


class BreaksOnArrival:
    def __reduce__(self):
        return int, ("no number",)


def test_a_message_that_cannot_be_unpickled_is_taken_and_the_next_one_arrives():
    with Channel(4096) as channel:
        channel.send_pyobj(BreaksOnArrival())
        channel.send_pyobj("next")
        with pytest.raises(ValueError, match="no number"):
            channel.receive_pyobj()
        assert channel.receive_pyobj() == "next"


class SendsWhileItIsPickled:
    channel = None

    def __reduce__(self):
        self.channel.send_pyobj("inner")
        return str, ("outer",)


def test_pickling_may_use_the_channel_itself():
    with Channel(4096) as channel:
        SendsWhileItIsPickled.channel = channel
        channel.send_pyobj(SendsWhileItIsPickled())
        assert [channel.receive_pyobj(), channel.receive_pyobj()] == ["inner", "outer"]
        SendsWhileItIsPickled.channel = None


def test_a_channel_cannot_be_pickled_and_the_error_says_what_to_do():
    with Channel(1024) as channel, pytest.raises(TypeError, match="fork"):
        pickle.dumps(channel)


def test_a_buffer_of_the_message_does_not_outlive_it():
    """What was received is a copy: later messages do not change it."""
    with Channel(1 << 16) as channel:
        kept = []
        for i in range(50):
            channel.send_pyobj(pickle.PickleBuffer(bytes([i]) * 2000))
            kept.append(channel.receive_pyobj())
        assert [bytes(k) for k in kept] == [bytes([i]) * 2000 for i in range(50)]


def size_of(message):
    """What counts: see Channel's documentation."""
    if isinstance(message, (bytes, bytearray)):
        return len(message) or 1
    return len(pickle.dumps(message, 5))


def message_of(number, step):
    """Messages of all kinds: ints, rows, lists, bytes, and pickles."""
    return (number, [number] * step, "x" * step, b"x" * step, bytearray(step), (number, b"x" * step), {number: step / 7},
            [(i, "same") for i in range(step)], {1, step})[number % 9]


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 6000), st.lists(st.one_of(st.integers(0, 3000), st.integers(0, 20), st.just(-1)), max_size=60))
def test_a_message_fits_exactly_when_all_that_are_not_received_have_no_more_than_size_bytes(capacity, steps):
    """A step of -1 receives; another one sends a message of about that length."""
    model = deque()
    with Channel(capacity) as channel:
        for number, step in enumerate(steps):
            if step < 0:
                if model:
                    assert channel.receive_pyobj(False) == model.popleft()
                else:
                    with pytest.raises(IndexError):
                        channel.receive_pyobj(False)
                continue
            message = message_of(number, step)
            if sum(map(size_of, model)) + size_of(message) > capacity:
                with pytest.raises(OverflowError):
                    channel.send_pyobj(message)
            else:
                channel.send_pyobj(message)
                model.append(message)
        assert [channel.receive_pyobj(False) for _ in range(len(model))] == list(model)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 100, 4096, 65536])
def test_the_smallest_messages_fill_a_channel_to_its_last_byte(size):
    with Channel(size) as channel:
        for _ in range(3):
            for n in range(size):
                channel.send_bytes(b"x")
            with pytest.raises(OverflowError):
                channel.send_bytes(b"")
            assert len(channel) == size
            for n in range(size):
                assert channel.receive_bytes(False) == b"x"
        for n in range(size // 4):
            channel.send_pyobj(None)
        with pytest.raises(OverflowError):
            channel.send_pyobj(None)


def test_a_message_that_is_as_large_as_the_channel_fits_and_one_byte_more_never_does():
    for message in (b"x" * 1000, "x" * 1000, list(range(300)), (b"x" * 1000,), {"a": (1, None)}):
        with Channel(size_of(message)) as channel:
            for _ in range(5):
                channel.send_pyobj(message)
                assert channel.receive_pyobj() == message
        with Channel(size_of(message) - 1) as channel:
            with pytest.raises(OverflowError, match=f"has {size_of(message)} bytes.* {size_of(message) - 1}"):
                channel.send_pyobj(message, True)


def test_messages_pass_a_small_ring_between_processes_at_full_blast():
    channel, count = Channel(2048), 20000

    def send():
        for i in range(count):
            channel.send_pyobj(i, True)

    with Thread(send) as task:
        task.start()
        assert [channel.receive_pyobj() for _ in range(count)] == list(range(count))
    channel.dispose()


def test_unpickling_may_fork_and_the_message_stays_the_parents(check_program):
    check_program("""
        import os, snakefish
        channel = snakefish.Channel(1 << 16)
        class Forks:
            def __init__(self):
                self.data = b"x" * 30000
            def __setstate__(self, state):
                child = os.fork()
                if child:
                    assert os.waitpid(child, 0)[1] == 0
                    try:  # the message is still being read here, so its room is not free
                        channel.send_pyobj(b"y" * 60000)
                    except OverflowError:
                        return
                    raise AssertionError("the child has released its parent's message")
        channel.send_pyobj(Forks())
        parent = os.getpid()
        channel.receive_pyobj()
        if os.getpid() != parent:
            os._exit(0)  # after it has released its copy of the message
        channel.send_pyobj(b"y" * 60000)
        assert channel.receive_pyobj() == b"y" * 60000
    """)
