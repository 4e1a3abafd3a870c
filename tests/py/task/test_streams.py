"""What parent and children write to the standard streams comes out once, whatever objects the streams are."""
import pytest


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_a_child_writes_to_any_layer_of_its_streams_comes_out_once(run_program, unbuffered):
    ended = run_program("""
        import io, sys, snakefish
        def run(f):
            with snakefish.Thread(f) as t:
                t.start()
        def text(): sys.stdout.write("text ")
        def layer(): sys.stdout.buffer.write(b"layer ")
        def error(): sys.stderr.write("error ")
        def mine():
            sys.stdout = io.TextIOWrapper(sys.stdout.buffer, write_through=False)
            print("mine", end=" ")
        def flushed(): print("flushed", end=" ", flush=True); print("more", end=" ")
        for f in (text, layer, error, mine, flushed, lambda: None):
            run(f)
            print("parent", end=" ")
            run(f)
        """, env={"PYTHONUNBUFFERED": unbuffered})
    assert ended.status == 0 and ended.stderr == "error error "
    assert ended.stdout.split() == [word for name in ("text", "layer", "", "mine", "flushed more", "")
                                    for word in f"{name} parent {name}".split()]


def test_each_of_many_forks_finds_what_was_printed_since_the_last_one(check_program):
    assert check_program("""
        import sys, snakefish
        def child(n):
            if n % 3 == 0:
                print("child", n)
            if n % 5 == 0:
                sys.stdout.buffer.write(b"layer\\n")
        for n in range(1, 11):
            if n % 2:
                print("parent", n)
            with snakefish.Thread(child, args=(n,)) as t:
                t.start()
        """).split("\n") == [line for n in range(1, 11) for line, said in (
            (f"parent {n}", n % 2), (f"child {n}", n % 3 == 0), ("layer", n % 5 == 0)) if said] + [""]


def test_a_flush_that_is_set_on_a_layer_of_a_stream_is_called_although_it_holds_nothing(check_program):
    assert check_program("""
        import os, sys, snakefish
        def run(f):
            with snakefish.Thread(f) as t:
                t.start()
        run(lambda: None)
        run(lambda: None)
        flush = sys.stdout.buffer.flush
        def counted():
            os.write(1, b"flush ")
            flush()
        sys.stdout.buffer.flush = counted
        run(lambda: None)
        del sys.stdout.buffer.flush
        """).count("flush") >= 2


def test_what_was_printed_before_a_fork_comes_out_once_and_in_order(check_program):
    assert check_program("""
        import sys, snakefish
        print("before", end=" ")
        def f():
            print("child", end=" ")
        with snakefish.Thread(f) as t:
            t.start()
        print("after")
        snakefish.map(lambda x: None, [1, 2], 2)
        """) == "before child after\n"


def test_a_flush_that_the_program_sets_on_its_stream_is_called_around_forks(check_program):
    assert check_program("""
        import sys, snakefish
        def run(f):
            with snakefish.Thread(f) as t:
                t.start()
        run(lambda: None)  # a fork with the stream as it was before
        held, write, flush = [], sys.stdout.write, sys.stdout.flush
        def flush_held():
            write("".join(held))
            held.clear()
            flush()
        sys.stdout.write, sys.stdout.flush = held.append, flush_held
        print("parent")
        run(lambda: print("child"))
        run(lambda: print("another"))
        sys.stdout.flush()
        """) == "parent\nchild\nanother\n"


def test_what_a_thread_writes_while_a_fork_flushes_comes_out_once(check_program):
    assert check_program("""
        import io, os, sys, threading
        import snakefish
        class Raw(io.RawIOBase):
            def writable(self):
                return True
            def write(self, data):
                if data == b"one ":
                    thread = threading.Thread(target=sys.stdout.write, args=("two ",))
                    thread.start()
                    thread.join()
                return os.write(1, data)
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(Raw()))
        for word in ("one ", ""):
            sys.stdout.write(word)
            with snakefish.Thread(lambda: sys.stdout.write("child ")) as t:
                t.start()
        """) == "one two child child "


def test_what_a_signal_handler_raises_during_the_flush_comes_out_of_start(check_program):
    assert check_program("""
        import io, os, signal, sys
        import snakefish
        class Interrupt(Exception):
            pass
        def interrupt(*_):
            raise Interrupt
        class Raw(io.RawIOBase):
            def writable(self):
                return True
            def write(self, data):
                signal.raise_signal(signal.SIGUSR1)
                return os.write(1, data)
        signal.signal(signal.SIGUSR1, interrupt)
        sys.stdout = io.TextIOWrapper(io.BufferedWriter(Raw()))
        sys.stdout.write("once ")
        t = snakefish.Thread(lambda: None)
        try:
            t.start()
        except Interrupt:
            os.write(1, b"interrupted %r " % t.pid)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        with t:
            t.start()
        """) == "interrupted None once "


def test_a_stream_whose_reader_has_gone_does_no_harm(check_program):
    assert check_program("""
        import os, sys
        import snakefish
        reader, writer = os.pipe()
        os.close(reader)
        gone = sys.stdout = open(writer, "w")
        gone.write("lost")
        with snakefish.Thread(lambda: 5) as t:
            t.start()
        os.write(1, b"%d" % t.get_result())
        sys.stdout = sys.__stdout__
        os._exit(0)
        """) == "5"


def test_closed_and_missing_streams_do_no_harm(run_program):
    ended = run_program("""
        import os, sys, snakefish
        sys.stdout.close()
        sys.stderr = None
        sys.stdin = None
        with snakefish.Thread(lambda: 5) as t:
            t.start()
        os.write(1, b"%d" % t.get_result())
        """)
    assert (ended.status, ended.stdout) == (0, "5")


def test_standard_descriptors_that_are_closed_do_no_harm(tmp_path, run_program):
    ended = run_program("""
        import os, sys
        for fd in (0, 1, 2):
            os.close(fd)
        import snakefish
        def g():
            yield from range(3)
        with snakefish.Thread(lambda: 5) as t, snakefish.Generator(g) as it:
            t.start()
            it.start()
            items = list(it)
        with open(sys.argv[1], "w") as file:
            file.write(repr((t.get_result(), items, snakefish.map(abs, [-1], 1))))
        os._exit(0)
        """, tmp_path / "out")
    assert ended.status == 0 and (tmp_path / "out").read_text() == "(5, [0, 1, 2], [1])"
