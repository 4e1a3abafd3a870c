"""The programs that the fault harness breaks. Importing this package registers them all (trial.PROGRAMS)."""
from . import channels, executors, generators, maps, roots, threads  # noqa: F401
