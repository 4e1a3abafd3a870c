"""trace-collect: events from the logs of eight processes into the trace database"""
import tempfile

from bench.support import measuring_programs

size = 500_000
check_size = 4000
unit = operation = "event"
seconds = 1.0
needs = "tracing"
floor_is = "bare SQLite inserts of such rows"
targets = {"floor": 1.2 / 2.0}  # 1.2 million events a second, where such inserts reach 2.0


def timed(runtime, size, workers):
    with tempfile.TemporaryDirectory(prefix="bench-collect-") as folder:
        answer = measuring_programs.ask("bench-collect", size, folder)
    return b"%d\n" % answer["events"], answer["intake_ns"], answer["inserts_ns"]


def expected(size):
    return b"%d\n" % size
