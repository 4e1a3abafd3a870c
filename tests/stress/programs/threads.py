"""Threads that are killed: at their start, while their result is written, and in a tree of them."""
import time

from snakefish import Channel, ChildDied, Thread
from trial import ALONE, check, children, is_running, program

from .channels import fate


@program
def threads_are_killed_right_after_their_start(trial):
    for slot in range(8):
        task = Thread(lambda: "done")
        task.start()
        if trial.chance.random() < 0.7:
            time.sleep(trial.chance.uniform(0, 0.002))
        trial.slots[slot] = task.pid
        trial.disturb_now(slot)
        task.join()
        fate(task, True)
        check(task.get_exit_status() in (0, -9), task.get_exit_status())


merged = []


@program
def threads_are_killed_while_they_leave_large_results(trial):
    """A result is whole or missing. What was extracted is merged if it is there, also if the child was killed while it
    ended, after its result was complete."""
    trial.disturb([0])
    size = trial.chance.choice((10, 100000, 3 << 20, 20 << 20))
    merged.clear()

    def work():
        trial.sign_in(0)
        return b"result" * (size // 6)

    task = Thread(work, lambda g: b"extracted" * (size // 9), lambda g, extracted: merged.append(extracted))
    task.start()
    task.join()
    value = fate(task, trial.was_killed(0))
    check(value is None or value == b"result" * (size // 6), "a torn result")
    check(merged in ([], [b"extracted" * (size // 9)]), "a torn extract")
    check(bool(merged) == (value is not None), "merged without a result, or not with one")
    check(bool(merged) or task.get_exit_status() != 0, "not merged, though it lived")


WIDTH, DEPTH = 2, 3


@program
def one_of_a_tree_of_threads_is_killed(trial):
    """Three levels: those below the victim die with it, those beside it finish, those above it get ChildDied."""
    total = sum(WIDTH ** level for level in range(1, DEPTH + 1))
    victim = trial.chance.randrange(total)
    trial.disturb([victim])
    channel = Channel(1 << 16)
    pause = trial.chance.uniform(0, 0.03)

    def node(slot, level):
        """The sum of what is below it and 1; -1 stands for a child that died."""
        trial.sign_in(slot)
        channel.send_pyobj(slot, True)
        found = [1]
        if level < DEPTH:
            below = [Thread(node, args=(WIDTH * (slot + 1) + n, level + 1)) for n in range(WIDTH)]
            for task in below:
                task.start()
            for task in below:
                task.join()
                try:
                    found += task.get_result()
                except ChildDied as died:
                    check(died.exit_status == -9, died)
                    found.append(-1)
        time.sleep(pause)
        return found

    with channel:
        roots = [Thread(node, args=(n, 1)) for n in range(WIDTH)]
        for task in roots:
            task.start()
        found = []
        for slot, task in enumerate(roots):
            task.join()
            found += fate(task, trial.was_killed(slot)) or [-1]
        trial.set_flag(ALONE)
        trial.end_killer()
        check(found.count(-1) <= 1, "more than the victim was reported dead", found)
        below, level = 1, [victim]
        while level:
            level = [WIDTH * (slot + 1) + n for slot in level for n in range(WIDTH) if WIDTH * (slot + 1) + n < total]
            below += len(level)
        check(found.count(1) == (total - below if -1 in found else total), "others than those below it are missing", found)
        trial.wait_for(lambda: not any(is_running(pid) for pid in trial.slots[:total] if pid), "the end of all")
        seen = []
        try:
            while True:
                seen.append(channel.receive_pyobj(True, 10))
        except EOFError:
            pass
        check(len(seen) == len(set(seen)) and len(seen) >= found.count(1), "messages are missing", seen)
    check(children() == [], "children are left", children())
