"""The programs in diseases/, each with one known disease, and what the first sentence of the advice has to say of it:
test_diseases.py and tests/stress/advice.py ask that."""

import collections
import os
import pathlib
import shutil

PROGRAMS = pathlib.Path(__file__).with_name("diseases")

# disease: its name in the table `advice`. words, cure: parts of the sentence. options: of `record`.
Disease = collections.namedtuple("Disease", "disease words cure options", defaults=((),))
INSTRUMENT = "--instrument", "all"

DISEASES = {
    "large_results": Disease("transfer", "pickling and copying take", "MB of results: return less"),
    "pool_pickles": Disease("transfer", "pickling and copying take", "MB of messages: send less", INSTRUMENT),
    "tiny_tasks": Disease("tiny tasks", "200000 chunks of", "chunksize="),
    "tiny_imap": Disease("tiny tasks", "20000 chunks of", "chunksize="),
    "serial_start": Disease("serial part", "serial_start.py works alone for", "before its first fork"),
    "imbalance": Disease("imbalance", "the work is uneven: map worker-", "leave chunksize out"),
    "oversubscription": Disease("oversubscription", "processes want a CPU at once", "concurrency="),
    "manager_lock": Disease("lock", "wait for a Manager", "ask it less often", INSTRUMENT),
    "large_forks": Disease("processes", "100 processes are forked", "fewer that do more each"),
    "slow_consumer": Disease("channel", "slow_consumer.py takes messages from channel results too slowly",
                             "let the senders do a part"),
    "small_channel": Disease("channel", "channel 1 is too small", "Channel(200000) instead of 6.0 KB"),
    "merging": Disease("merge", "merging takes", "merge less"),
}
KERNEL = {  # only the kernel's view tells these, or it must not hide them
    "sleeping": Disease("sleep", "tasks sleep, or wait for something outside", "concurrency=4 or more", ("--kernel",)),
    "copy_on_write": Disease("copy-on-write", "the kernel copies what children change", "only read it", ("--kernel",)),
    "blas_threads": Disease("threads", "each of 4 workers runs", "one thread in each worker, blas_threads=1", ("--kernel",)),
    **{name: known._replace(options=("--kernel", *known.options)) for name, known in DISEASES.items()
       if name in ("serial_start", "large_results", "manager_lock", "oversubscription")},
}


def missing(name):
    """Why the program cannot show its disease here; None: it can."""
    if name in ("oversubscription", "blas_threads") and os.cpu_count() > 8:
        return "it has too many CPUs"
    if name == "blas_threads" and (os.cpu_count() < 2 or not shutil.which("gcc")):
        return "it has one CPU, or no gcc"
    return None
