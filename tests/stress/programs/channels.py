"""Channels whose senders and receivers are killed or stopped."""
import os
import signal
import time

from snakefish import Channel, ChildDied, Thread
from trial import ALONE, STOPPED, Book, check, program

NUMBERS = 20000
OVERHEAD = 200  # of a message, its pickle and frame: more than enough


def send(channel, shape, writer, number, body):
    """One of the ways to send it."""
    if shape == "bytes":
        channel.send_bytes(writer.to_bytes(2, "little") + number.to_bytes(4, "little") + body, True, 15)
    else:
        channel.send_pyobj((writer, number, bytearray(body) if shape == "buffer" else body), True, 15)


def receive(channel, shape, timeout):
    if shape != "bytes":
        return channel.receive_pyobj(True, timeout)
    got = channel.receive_bytes(True, timeout)
    return int.from_bytes(got[:2], "little"), int.from_bytes(got[2:6], "little"), got[6:]


def fills(channel):
    """How many small messages it takes; it is empty afterwards."""
    count = 0
    try:
        while True:
            channel.send_bytes(b"12345678")
            count += 1
    except OverflowError:
        pass
    for _ in range(count):
        channel.receive_bytes(False)
    return count


def fate(task, struck):
    """What get_result says, which is the end of a struck one or a value."""
    try:
        return task.get_result()
    except ChildDied as died:
        check(struck, "it died and nobody struck it:", died)
        check(died.exit_status == -9 and "signal 9" in str(died) and died.pid == task.pid, "it does not say why:", died)
        return None


def exchange(trial, sizes, pause_s=None):
    """Senders and receivers of one channel, some of which are struck; afterwards every message is accounted for."""
    chance = trial.chance
    size, shape = chance.choice(sizes), chance.choice(("object", "buffer", "bytes"))
    senders, receivers = chance.randint(1, 3), chance.randint(0, 2)
    most = size - OVERHEAD - OVERHEAD // 2
    largest = chance.choice([bytes for bytes in (2, 100, 700, 5000, size // 3, most) if bytes <= most])
    trial.disturb(trial.some_of(range(senders + receivers)), pause_s)
    book, channel = Book(senders, NUMBERS), Channel(size)

    def sending(writer):
        trial.sign_in(writer)
        for number in range(NUMBERS):
            if trial.is_set(ALONE):
                break
            send(channel, shape, writer, number, book.body(writer, number, largest))
            book.note_sent(writer, number)
        return "sent"

    def take(timeout):
        try:
            got = receive(channel, shape, timeout)
        except TimeoutError:
            return False
        book.note_received(*got, largest)
        return True

    def receiving(slot):
        trial.sign_in(slot)
        while not trial.is_set(STOPPED):
            take(0.02)
        return "received"

    tasks = [Thread(sending, args=(slot,)) for slot in range(senders)]
    tasks += [Thread(receiving, args=(slot,)) for slot in range(senders, senders + receivers)]
    for task in tasks:
        task.start()
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        try:
            take(0.01)
        except EOFError:  # all are dead
            break
    trial.set_flag(ALONE)
    while not all([task.try_join() for task in tasks[:senders]]):
        try:
            take(0.01)
        except EOFError:
            pass
    try:
        while take(0.03):
            pass
    except EOFError:
        pass
    trial.end_killer()
    for task in tasks[senders:]:
        task.join(15)
    try:
        while take(5):
            pass
        check(False, "nobody else is left, and a receive ended by its timeout")
    except EOFError:
        pass
    dead_receivers = 0
    for slot, task in enumerate(tasks):
        ended = fate(task, trial.was_killed(slot))
        check(ended in (None, "sent", "received"), ended)
        dead_receivers += ended is None and slot >= senders
    lost = book.lost()
    check(lost <= dead_receivers, lost, "messages lost by", dead_receivers, "dead receivers")
    with channel, Channel(size) as fresh:
        if size <= 65536:
            check(fills(channel) == fills(fresh), "the dead's room is not back")
        channel.send_bytes(bytes(most))
        check(channel.receive_bytes(False) == bytes(most), "a message of all the room")


@program
def participants_of_small_channels_are_killed(trial):
    """Where most of the time is the lock's."""
    exchange(trial, (1024, 2048, 4096))


@program
def participants_of_large_channels_are_killed(trial):
    """Where most of the time is the copies'."""
    exchange(trial, (65536, 1 << 20, 4 << 20))


@program
def participants_that_are_stopped_for_a_while_lose_nothing(trial):
    """Slow is not dead: they are stopped for longer than a wait goes on without looking for dead processes."""
    exchange(trial, (1024, 65536, 1 << 20), pause_s=0.15)


def is_stopped(pid):
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0] == "T"


@program
def nobody_is_late_while_another_one_is_stopped(trial):
    """It is stopped at any instruction, also where it has the ring's lock."""
    chance = trial.chance
    with Channel(chance.choice((1024, 65536))) as channel:

        def use():
            while True:
                try:
                    channel.send_pyobj(1)
                    channel.receive_pyobj(False)
                except (OverflowError, IndexError):
                    pass

        calls = [lambda: channel.receive_pyobj(timeout=0.03), lambda: channel.send_pyobj(1, True, 0.03),
                 lambda: channel.receive_pyobj(False), lambda: channel.send_pyobj(1)]
        task = Thread(use)
        task.start()
        for _ in range(15):
            time.sleep(chance.uniform(0, 0.004))
            os.kill(task.pid, signal.SIGSTOP)
            while not is_stopped(task.pid):
                pass
            begin = time.monotonic()
            try:
                chance.choice(calls)()
            except (TimeoutError, IndexError, OverflowError):
                pass
            check(time.monotonic() - begin < 2, "it came back after", time.monotonic() - begin, "s")
            os.kill(task.pid, signal.SIGCONT)
        task.kill()
        task.join()
        try:
            while True:
                channel.receive_pyobj(timeout=10)
        except EOFError:
            pass


@program
def one_of_two_that_talk_is_killed(trial):
    """The other one notices, whichever way it waits; the program itself has disposed of the channel."""
    trial.disturb([trial.chance.randint(0, 1)])
    body = bytes(trial.chance.choice((0, 100, 20000)))
    with Channel(65536) as there, Channel(65536) as back:

        def talk(slot):
            trial.sign_in(slot)
            mine, other = (there, back) if slot else (back, there)
            try:
                if not slot:
                    other.send_pyobj(body, True)
                while not trial.is_set(ALONE):
                    check(mine.receive_pyobj() == body, "a corrupt message")
                    other.send_pyobj(body, True)
            except (EOFError, BrokenPipeError):
                return "noticed"
            return "stopped"

        tasks = [Thread(talk, args=(slot,)) for slot in range(2)]
        tasks[0].start()
        tasks[1].start()
    for task in tasks:
        check(task.join(15) is not False, "it waits for ever")
    ends = {fate(task, trial.was_killed(slot)) for slot, task in enumerate(tasks)}
    check(ends == {None, "noticed"}, ends)


def say(channel):
    try:
        channel.send_pyobj(1)
    except OverflowError:
        pass


@program
def who_forks_while_it_holds_a_channel_is_killed(trial):
    """A place that is kept for a child which is never born does not keep the others waiting."""
    trial.disturb([0])
    with Channel(4096) as channel:

        def fork_on():
            trial.sign_in(0)
            while True:
                with Thread(say, args=(channel,)) as last:
                    last.start()
                try:
                    channel.receive_pyobj(False)
                except IndexError:
                    pass

        task = Thread(fork_on)
        task.start()
        started, seen = time.monotonic(), 0
        try:
            while True:
                channel.receive_pyobj(True, 10)
                seen += 1
        except EOFError:
            pass
        check(time.monotonic() - started < 4, "the end came late:", time.monotonic() - started)
        task.join()
        fate(task, trial.was_killed(0))
