"""Generators that are killed while they make, send and wait."""
import time

from snakefish import ChildDied, Generator
from trial import check, is_running, program


def item(number, size):
    return number, bytes([number % 251]) * (size * (number % 3))


@program
def a_generator_is_killed(trial):
    """Its items come whole and in order. Then ChildDied is raised, once; after that the Generator is at its end."""
    trial.disturb([0])
    size, nap = trial.chance.choice((1, 1000, 1 << 20, 3 << 20)), trial.chance.choice((0, 0, 0.001))
    polling = trial.chance.random() < 0.3
    prefetch = trial.chance.choice((0, 1, 5))

    def produce():
        trial.sign_in(0)
        number = 0
        while True:
            yield item(number, size)
            number += 1
            time.sleep(nap)

    generator = Generator(produce, prefetch=prefetch)
    generator.start()
    number = 0
    try:
        while True:
            try:
                got = generator.next(not polling)
            except IndexError:
                continue
            check(got == item(number, size), "a wrong item at", number)
            number += 1
    except ChildDied as died:
        check(died.exit_status == -9 and "signal 9" in str(died) and trial.was_killed(0), died)
    try:
        generator.next()
        check(False, "an item of the dead")
    except StopIteration:
        pass
    generator.join()
    check(generator.get_exit_status() == -9, generator.get_exit_status())
    check(not is_running(trial.slots[0]), "it runs on")


@program
def a_generator_is_stopped_at_any_moment(trial):
    """By join or dispose of its owner: it is gone, and its finally was run by join."""
    closed = trial.slots

    def produce():
        trial.sign_in(0)
        try:
            while True:
                yield bytes(100000)
        finally:
            closed[1] = 1

    generator = Generator(produce)
    generator.start()
    for _ in range(trial.chance.randrange(4)):
        generator.next()
    time.sleep(trial.moment() / 10)
    generator.join()
    check(generator.get_exit_status() == 0, generator.get_exit_status())
    check(closed[1] == (closed[0] != 0), "its finally was not run")
