"""A little of everything, for programs that run it where something is missing: `everything() == right`."""
import snakefish

right = ("result", [0, 1, 4], "message", [1, 2, 3])


def squares(n):
    for i in range(n):
        yield i * i


def everything():
    with snakefish.Thread(lambda: "result") as t:
        t.start()
    with snakefish.Generator(squares, args=(3,)) as g:
        g.start()
        items = list(g)
    with snakefish.Channel(4096) as c:
        c.send_pyobj("message")
        received = c.receive_pyobj()
    return t.get_result(), items, received, snakefish.map(abs, [-1, -2, -3], 2)
