"""One sample, in a fresh interpreter: python3 -m bench.sample WORKLOAD SIZE RUNTIME WORKERS [TRACE_DB]

Runs the workload once, with no warm-up, and prints one line of JSON. Imports little, because every import is time
that the sample's process takes. With --probe RUNTIME it says instead what that runtime is and can.
"""
import json
import sys
import time
from contextlib import nullcontext
from hashlib import sha256

from bench import catalog

now_ns = time.perf_counter_ns


def run(workload_name, size, runtime_name, workers, trace=None):
    """Returns what bench/schema.sql calls import_ns, region_ns, run_ns, operations and output_*."""
    start = now_ns()
    workload = catalog.workload(workload_name)
    runtime = catalog.load("runtimes", runtime_name)
    imported = now_ns()

    session = getattr(runtime, "session", nullcontext)
    with session(trace) if trace else session():
        measure = micro if workload.kind == "micro" else program
        output, region_ns = measure(workload, runtime, size, workers)
    end = now_ns()
    return {
        "import_ns": imported - start,
        "region_ns": region_ns,
        "run_ns": end - start,
        "operations": workload.operations(size),
        "output_bytes": len(output),
        "output_sha256": sha256(output).hexdigest(),
    }


def program(workload, runtime, size, workers):
    start = now_ns()
    with runtime.pool(workers) as map:
        output = workload.output(size, workers, map)
    return output, now_ns() - start


def micro(workload, runtime, size, workers):
    if hasattr(runtime, "floor"):
        value, region_ns = runtime.floor(workload, size, workers)
    else:
        with workload.module.ready(runtime, size, workers) as operate:
            start = now_ns()
            value = operate()
            region_ns = now_ns() - start
    return workload.output_of(value, size), region_ns


def probe(name):
    """A runtime's facts; what its import raises comes back as the reason for its absence."""
    try:
        module = catalog.load("runtimes", name)
    except Exception as error:
        return {"reason": f"{type(error).__name__}: {error}"}
    return {
        "reason": None,
        "version": getattr(module, "version", None),
        "doc": catalog.about(module),
        "offers": [f for f in ("pool", "maps", "spawn_join", "echo", "stream", "floor", "session") if hasattr(module, f)],
        "max_workers": getattr(module, "max_workers", None),
        "optional": getattr(module, "optional", False),
    }


def main(arguments):
    if arguments[0] == "--probe":
        answer = probe(arguments[1])
    else:
        workload, size, runtime, workers, *trace = arguments
        answer = run(workload, int(size), runtime, int(workers), *trace)
    print("\n" + json.dumps(answer))  # on a line of its own, whatever the program printed


if __name__ == "__main__":
    main(sys.argv[1:])
