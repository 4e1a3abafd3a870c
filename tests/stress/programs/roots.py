"""The program's own process is killed, or interrupted, whatever it is doing: nothing of it is left."""
import gc
import os
import signal
import time
import warnings

import snakefish
from snakefish import Channel, Generator, Thread
from trial import ALONE, STOPPED, check, children, program


def forever():
    number = 0
    while True:
        yield number
        number += 1


def deep(level, channel):
    """Threads in Threads, each waiting for the next; the last one waits for a message that never comes."""
    if level == 0:
        channel.receive_pyobj()
    with Thread(deep, args=(level - 1, channel)) as task:
        task.start()


def everything(chance):
    """All kinds of work, in an order of chance, for ever."""
    channel, other = Channel(1 << 16), Channel(1 << 20)

    def threads():
        with Thread(sum, args=(range(10000),)) as task:
            task.start()

    def generator():
        with Generator(forever) as numbers:
            numbers.start()
            for expected in range(20):
                check(numbers.next() == expected, "a wrong item")

    def a_map():
        check(snakefish.map(abs, range(-50, 0), 3, 5) == list(range(50, 0, -1)), "wrong results")

    def stream():
        def send():
            for number in range(50):
                other.send_pyobj((number, bytes(50000)), True)

        with Thread(send) as sender:
            sender.start()
            for number in range(50):
                check(other.receive_pyobj(True, 15)[0] == number, "a wrong message")

    works = [threads, generator, a_map, stream]
    with Thread(deep, args=(3, channel)) as nest:
        nest.start()
        while True:
            chance.choice(works)()


@program(killed_within_s=0.15)
def the_program_itself_is_killed(trial):
    everything(trial.chance)


def run_until_interrupted(trial):
    """everything(), until a SIGINT, whatever it interrupts."""
    try:
        trial.set_flag(ALONE)
        everything(trial.chance)
    except KeyboardInterrupt:
        return True
    return False


@program
def the_program_is_interrupted_and_goes_on(trial):
    """SIGINT at any moment is one KeyboardInterrupt; with blocks end their processes, and what has none is collected."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore", ResourceWarning)
    root, delay = os.getpid(), 3 * trial.moment()
    trial.killer = os.fork()
    if trial.killer == 0:
        while not trial.is_set(ALONE) and os.getppid() == root:
            time.sleep(0.0002)
        time.sleep(delay)
        os.kill(root, signal.SIGINT)
        os._exit(0)
    check(run_until_interrupted(trial), "it ended by itself")
    trial.end_killer()
    for _ in range(3):
        gc.collect()
    check(children() == [], "children are left:", children())
    check(snakefish.map(abs, [-1, -2], 2) == [1, 2], "the program cannot go on")


@program
def handlers_that_raise_interrupt_at_any_moment(trial):
    """A signal handler's exception costs at most the message that was just being handed over."""
    class Interrupt(Exception):
        pass

    def interrupt(number, frame):
        if watched:  # else it would come out of the code that counts
            watched.clear()
            raise Interrupt

    received, interrupts, sent, watched = [], 0, 400, []

    def receive_all():
        watched.append(True)
        try:
            while True:
                number, body = channel.receive_pyobj()
                check(len(body) == number, "a corrupt message")
                received.append(number)
        except EOFError:
            watched.clear()

    with Channel(8192) as channel:
        def send():
            for number in range(sent):
                channel.send_pyobj((number, bytes(number)), True)

        task = Thread(send)
        task.start()
        signal.signal(signal.SIGALRM, interrupt)
        while True:
            if not task.try_join():  # a wait that is always interrupted never gets to look for the dead
                signal.setitimer(signal.ITIMER_REAL, trial.chance.uniform(0.0001, 0.003))
            try:
                receive_all()
                break
            except Interrupt:
                interrupts += 1
        task.join()
        task.get_result()
    check(received == sorted(set(received)), "out of order, or twice")
    check(len(received) >= sent - interrupts, "lost:", sent - len(received), "with", interrupts, "interrupts")
    trial.set_flag(STOPPED)
