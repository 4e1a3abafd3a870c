"""One sample, in a fresh interpreter: python3 -m bench.run.sample WORKLOAD SIZE RUNTIME WORKERS [TRACE_DB [--kernel]]

Runs the workload once, with no warm-up, and writes one line of JSON. With TRACE_DB, the region is traced into that file. Imports
little, because each import adds to the sample's time. With --probe RUNTIME it writes what that runtime is and offers; with
--prepare WORKLOAD SIZE it makes the input, and runs nothing; with --output before the other arguments it prints the output, and
nothing else. With --answer FD before all others the JSON goes to that descriptor: standard output is the program's, which may
print anything. With --expect SHA256 after that, the JSON has the output too, where that is another one; with --count after that,
the region is marked for bench/run/counting.py.
"""
import json
import os
import sys
import time
from contextlib import contextmanager, nullcontext
from hashlib import sha256

from bench.run import catalog
from bench.run.difference import MOST_BYTES
from bench.support import ready

OFFERS = ("programs", "pool", "warm", "fold", "pipeline", "spawn_join", "echo", "stream", "events", "tracing", "floor", "copies",
          "session", "submit", "lazy", "changing", "comparing", "counting", "counting_tasks")
now_ns = time.perf_counter_ns


def run(workload_name, size, runtime_name, workers, trace=None, kernel=False, around=nullcontext):
    """Returns the output, and what bench/run/schema.sql calls run_ns, import_ns, region_ns, floor_ns, operations, output_*.
    around: makes a context manager that is around all that the runtime does."""
    start = now_ns()
    workload = catalog.workload(workload_name)
    runtime = catalog.load("runtimes", runtime_name)
    imported = now_ns()

    if workload.kind == "program":
        workload.prepare(size)
    prepared = now_ns()

    with traced(runtime, trace, kernel) if trace else getattr(runtime, "session", nullcontext)(), around():
        output, region_ns, floor_ns = measure(workload, runtime, size, workers)
    end = now_ns()
    return output, {
        "import_ns": imported - start,
        "region_ns": region_ns,
        "floor_ns": floor_ns,
        "run_ns": end - prepared + imported - start,
        "operations": workers if hasattr(runtime, "copies") else workload.operations(size),
        "output_bytes": len(output),
        "output_sha256": sha256(output).hexdigest(),
    }


@contextmanager
def traced(runtime, path, kernel):
    """Begins after the input was made and all was imported, so that the trace holds the region and no more."""
    import snakefish  # other runtimes run without it

    if hasattr(runtime, "instrument"):
        snakefish.trace.instrument(runtime.instrument)
    with snakefish.trace.session(path, kernel=bool(kernel)):
        yield


def measure(workload, runtime, size, workers):
    """(output, region_ns, floor_ns or None)"""
    if hasattr(runtime, "copies"):
        return *runtime.copies(workload, size, workers), None
    if hasattr(runtime, "floor"):
        value, region_ns = runtime.floor(workload, size, workers)
        return workload.output_of(value, size), region_ns, None
    if hasattr(workload.module, "timed"):
        value, region_ns, floor_ns = workload.module.timed(runtime, size, workers)
        return workload.output_of(value, size), region_ns, floor_ns
    if hasattr(workload.module, "by_turns"):
        with workload.module.by_turns(runtime, size, workers) as turns:
            values, region_ns, floor_ns = by_turns(*turns)
        return workload.output_of(values, size), region_ns, floor_ns
    if workload.kind == "program":
        operation = ready.program(runtime, workload, size, workers)
    else:
        operation = workload.module.ready(runtime, size, workers)
    with operation as run_it:
        start = now_ns()
        value = run_it()
        region_ns = now_ns() - start
    return workload.output_of(value, size), region_ns, None


def by_turns(run_it, floor, rounds):
    """(values, ns of all runs, ns of all floors). They alternate, so that a drift of the machine affects both."""
    values, region_ns, floor_ns = [], 0, 0
    for k in range(rounds):
        if k % 2:
            floor_ns += floor()
        start = now_ns()
        values.append(run_it())
        region_ns += now_ns() - start
        if not k % 2:
            floor_ns += floor()
    return values, region_ns, floor_ns


def probe(name):
    """A runtime's facts. What its import raises is the reason for its absence."""
    try:
        module = catalog.load("runtimes", name)
    except Exception as error:
        return {"reason": f"{type(error).__name__}: {error}"}
    return {
        "reason": None,
        "version": getattr(module, "version", None),
        "doc": catalog.about(module),
        "offers": [offer for offer in OFFERS if hasattr(module, offer)],
        "programs": tuple(getattr(module, "programs", ())),
        **{name: getattr(module, name) for name in ("max_workers", "min_workers", "one_memory", "only", "own_chunks", "optional")
           if hasattr(module, name)},
    }


def main(arguments):
    answer_fd, expected, around = sys.stdout.fileno(), None, nullcontext
    if arguments[0] == "--answer":
        answer_fd = int(arguments[1])
        os.set_inheritable(answer_fd, False)  # programs that the workload starts need not have it
        arguments = arguments[2:]
    if arguments[0] == "--expect":
        expected, arguments = arguments[1], arguments[2:]
    if arguments[0] == "--count":
        from bench.run.counting import counted as around  # other samples run without it
        arguments = arguments[1:]
    if arguments[0] == "--probe":
        answer = probe(arguments[1])
    elif arguments[0] == "--prepare":
        catalog.workload(arguments[1]).prepare(int(arguments[2]))
        return
    else:
        print_output = arguments[0] == "--output"
        workload, size, runtime, workers, *trace = arguments[print_output:]
        output, answer = run(workload, int(size), runtime, int(workers), *trace, around=around)
        if print_output:
            sys.stdout.buffer.write(output)
            return
        if expected not in (None, answer["output_sha256"]):
            answer["output"] = output[:MOST_BYTES].decode("latin-1")  # which has a character for each byte
    sys.stdout.flush()
    os.write(answer_fd, (json.dumps(answer) + "\n").encode())


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:  # the bench itself reports that it was stopped
        sys.exit(130)
