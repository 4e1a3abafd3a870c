"""What `analyze` says first of programs with one known disease each: diseases/ has them, and says what is wrong with each and
what cures it. They differ from what is healthy by large factors, so that a busy machine changes nothing."""

import json
import os
import pathlib
import subprocess

import pytest

from tracing import BUILD, TRACE, meta, query, trace

PYTHON = "/usr/bin/python3"
PROGRAMS = pathlib.Path(__file__).with_name("diseases")
pytestmark = pytest.mark.skipif(not list((BUILD / "lib").glob("snakefish/_snakefish*.so")), reason="the extension is not built")

# program: its disease, words that the first sentence has, what the cure names. Of the last ones only the kernel knows.
DISEASES = {
    "large_results": ("transfer", "pickling and copying take", "MB of results: return less"),
    "pool_pickles": ("transfer", "pickling and copying take", "MB of messages: send less"),
    "tiny_tasks": ("tiny tasks", "200000 chunks of", "chunksize="),
    "tiny_imap": ("tiny tasks", "20000 chunks of", "chunksize="),
    "serial_start": ("serial part", "serial_start.py works alone for", "before its first fork"),
    "imbalance": ("imbalance", "the work is uneven: map worker-", "leave chunksize out"),
    "oversubscription": ("oversubscription", "processes want a CPU at once", "concurrency="),
    "manager_lock": ("lock", "wait for a Manager", "ask it less often"),
    "large_forks": ("processes", "100 processes are forked", "fewer that do more each"),
    "slow_consumer": ("channel", "slow_consumer.py takes messages from channel results too slowly", "let the senders do a part"),
    "small_channel": ("channel", "channel 1 is too small", "Channel(200000) instead of 6.0 KB"),
    "merging": ("merge", "merging takes", "merge less"),
}
KERNEL = {
    "sleeping": ("sleep", "tasks sleep, or wait for something outside", "concurrency=4 or more"),
    "copy_on_write": ("copy-on-write", "the kernel copies what children change", "only read it"),
    "native_threads": ("threads", "workers runs 4 threads", "blas_threads=1"),
    "serial_start": DISEASES["serial_start"],
    "large_results": DISEASES["large_results"],
    "oversubscription": DISEASES["oversubscription"],
}


# These want more processes or threads than there are CPUs, and want 16 or 24.
many_cpus = pytest.mark.skipif(os.cpu_count() > 8, reason="it has too many CPUs")


def named(diseases, long=()):
    marks = {name: [many_cpus] if name in ("oversubscription", "native_threads") else [] for name in diseases}
    return [pytest.param(name, marks=marks[name] + [pytest.mark.long] * (name in long)) for name in diseases]


def record_program(db, name, *options):
    if name in ("pool_pickles", "manager_lock"):
        options += ("--instrument", "all")
    env = dict(os.environ, PYTHONPATH=str(BUILD / "lib"))
    env.pop("SNAKEFISH_TRACE", None)
    done = subprocess.run([TRACE, "record", "-o", db, *options, "--", PYTHON, PROGRAMS / f"{name}.py", "sick"], env=env,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    return done


def check_first_sentence(db, disease, words, cure):
    done = trace("analyze", db)
    assert (done.returncode, done.stderr) == (0, "")
    first = done.stdout.splitlines()[0]
    said = query(db, "SELECT disease, sentence, gain FROM advice ORDER BY rank")
    assert said[0][:2] == (disease, first) and words in first and cure in first, said
    assert 1 <= len(said) <= 3 and len({name for name, *_ in said}) == len(said)
    for _, sentence, gain in said:
        assert sentence.endswith(f": about {gain:.1f}x") if gain and gain >= 1.06 else "about 1.0x" not in sentence


@pytest.mark.parametrize("name", named(DISEASES))
def test_the_first_sentence_names_the_disease(db, name):
    record_program(db, name)
    check_first_sentence(db, *DISEASES[name])


@pytest.mark.parametrize("name", named(KERNEL, long=("large_results", "oversubscription")))  # they do without it, above
def test_with_the_kernels_view_the_first_sentence_names_the_disease(db, name):
    record_program(db, name, "--kernel")
    if meta(db, "kernel_view") != "complete":
        pytest.skip(meta(db, "kernel_view"))
    check_first_sentence(db, *KERNEL[name])


def test_of_a_healthy_program_nothing_stands_out(db):
    """On a machine that has other work to do, its work was on no CPU for much of the time, which it cannot change."""
    record_program(db, "healthy")
    said = query(db, "SELECT count(*) FROM advice") and json.loads(trace("analyze", "--json", db).stdout)["advice"]
    assert [row["disease"] for row in said] in (["none"], ["no cpu"])
    assert said[0]["sentence"].startswith(("nothing stands out", "what looks like work was on no CPU"))
