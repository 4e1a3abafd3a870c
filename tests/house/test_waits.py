"""Whatever can sleep stands in few places, each with a limit of time: a new one is to be thought about. All blocking calls
wait by ext/py/base/wait.h, which sleeps in slices, runs signal handlers between them, and looks at the deadline."""
import os
import re

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SLEEPS = re.compile(r"\b(sf_futex_wait|SYS_futex|p?poll|p?select|epoll_wait|u?sleep|(?:clock_)?nanosleep|wait(?:pid|id|3|4)?|"
                    r"flock|F_OFD_SETLKW|F_SETLKW|sem_(?:timed)?wait|pthread_cond_(?:timed)?wait|pthread_join|pause|"
                    r"sigwait\w*|sigsuspend|msgrcv|mq_receive)\s*[(,]")

WAITS = {  # file: what limits its sleep
    "core/os/eventcount.c": "its caller's timeout: core/ring/ring_wait.c, in slices",
    "core/os/futex.c": "its caller's timeout",
    "core/os/lock.c": "its caller's timeout; slices in which it looks who lives",
    "core/os/process.c": "its caller's timeout; waitpid and waitid have WNOHANG",
    "core/os/tsc.c": "the calibration's milliseconds",
    "core/ring/ring_turn.c": "its caller's timeout",
    "py/base/wait.c": "microseconds, for programs that poll",
    "py/message/offer.c": "a slice of sf_wait",
    "py/task/generator_child.c": "a slice of sf_wait",
    "py/task/task.c": "a millisecond, in a slice of sf_wait",
    "py/trace/collector.c": "a slice of sf_wait",
    "py/trace/instrument_message.c": "none: it sleeps where the call that it instruments would; EINTR runs signal handlers",
    "py/workers/crew_worker.c": "a worker that is about to be killed: milliseconds, until then or until its parent lets it go on",
    "py/workers/source.c": "a second of a thread of its own; milliseconds of the caller",
}


def code_of(path):
    with open(path, encoding="utf-8") as file:
        return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', "", file.read(), flags=re.S)


def sleepers(top):
    found = set()
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith(".c") and SLEEPS.search(code_of(path)):
                found.add(os.path.relpath(path, top))
    return found


def test_only_these_files_sleep():
    assert sleepers(os.path.join(TOP, "ext")) == set(WAITS)


def test_a_new_sleep_is_found(tmp_path):
    (tmp_path / "new.c").write_text("int f(void)\n{\n    return poll(0, 0, -1); /* for ever */\n}\n")
    (tmp_path / "old.c").write_text('/* poll(0, 0, -1) */\nconst char *text = "usleep(1)";\nint poll_all(void);\n')
    assert sleepers(tmp_path) == {"new.c"}
