"""os.fork() in what unpickles a message: both processes come out of it, each with a whole object, and what belongs to one of
them is taken and given back once."""

PRELUDE = """
import os, sys, time, snakefish
main, forked = os.getpid(), []

def fork(where, number, data):
    if number == 3 and (os.getpid() == main) == (where == "main"):
        forked.append(os.fork())
        if forked[-1]:
            time.sleep(0.3)  # the other one is ahead
    return number, data

class Forks:
    def __init__(self, number, where="main"):
        self.number, self.where = number, where
    def __reduce__(self):
        return fork, (self.where, self.number, bytes([self.number]) * 20000)

def right(number):
    return number, bytes([number]) * 20000

def end_child(status=0):
    if os.getpid() != main:
        os._exit(status)
    assert os.waitpid(forked[0], 0)[1] == 0
"""


def test_a_channels_message_is_released_once_and_whole_in_both(check_program):
    check_program(PRELUDE + """
channel, back = snakefish.Channel(1 << 20), snakefish.Channel(1 << 20)
def slow(data):
    forked.append(os.fork())
    if not forked[-1]:
        time.sleep(0.3)  # meanwhile the parent has released the message, and others have been written in its place
    return data
class Slow:
    def __reduce__(self):
        return list, ((Slowly(), b"x" * 50000, "y" * 50000),)
class Slowly:
    def __reduce__(self):
        return slow, ("first",)
channel.send_pyobj(Slow())
got = channel.receive_pyobj()
if os.getpid() != main:
    os._exit(got != ["first", b"x" * 50000, "y" * 50000])
assert got == ["first", b"x" * 50000, "y" * 50000]
for i in range(50):
    channel.send_pyobj((i, os.urandom(1000)))
end_child()
assert [channel.receive_pyobj()[0] for _ in range(50)] == list(range(50)) and len(channel) == 0
channel.send_bytes(bytes(1 << 20))  # all the room is back, to the byte
""")


def test_results_of_map_and_imap_stay_those_of_the_process_that_called_it(check_program):
    for call in "list(snakefish.map(Forks, range(60), 2, chunksize=1))", "list(snakefish.imap(Forks, range(60), 2))":
        check_program(PRELUDE + f"""
try:
    got = {call}
except RuntimeError as error:
    assert os.getpid() != main and "workers were started by process" in str(error), error
    end_child()
assert os.getpid() == main
assert got == [right(n) for n in range(60)]
end_child()
""")


def test_both_get_a_generators_item_and_the_parent_all_others(check_program):
    check_program(PRELUDE + """
def items():
    yield from map(Forks, range(60))
with snakefish.Generator(items, prefetch=5) as generator:
    generator.start()
    got = []
    for item in generator:
        got.append(item)
        if os.getpid() != main:
            os._exit(got != [right(n) for n in range(4)])
assert got == [right(n) for n in range(60)]
end_child()
""")


def test_both_get_a_threads_result(check_program):
    check_program(PRELUDE + """
task = snakefish.Thread(Forks, args=(3,))
task.start()
task.join()
assert task.get_result() == right(3)
end_child()
""")


def test_arguments_that_fork_in_a_worker_are_computed_once(check_program):
    check_program(PRELUDE + """
computed = snakefish.Channel()
def f(argument):
    computed.send_pyobj(argument[0])
    return argument
assert list(snakefish.imap(f, (Forks(n, "worker") for n in range(60)), 2)) == [right(n) for n in range(60)]
time.sleep(0.5)
assert sorted(computed.receive_pyobj() for _ in range(len(computed))) == list(range(60))
""")
