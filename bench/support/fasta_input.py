"""What fasta wrote, as a file: the input of k-nucleotide and regex-redux, made once for all samples of a run.

It stands in the folder of temporary files, which a run gives to its samples and removes at its end.
"""
import os
import tempfile

from bench.workloads import fasta


def path(size):
    return os.path.join(tempfile.gettempdir(), f"fasta-{size}.txt")


def make(size):
    if os.path.exists(path(size)):
        return
    with tempfile.NamedTemporaryFile(dir=tempfile.gettempdir(), delete=False) as file:
        file.write(fasta.combine(size, [fasta.work(task) for task in fasta.tasks(size, 1)]))
    os.replace(file.name, path(size))  # whole, or not at all


def read(size):
    with open(path(size), encoding="ascii") as file:
        return file.read()
