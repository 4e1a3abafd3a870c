"""The environment variables that a sample gets.

A variable can make every sample several times slower (PYTHONTRACEMALLOC), or another program (LD_PRELOAD), and nobody would
see it in the figures. So what is known to change results is left out, which is printed and stored. What is passed on and
may matter is stored with its value, so that two sessions can be compared.
"""
import os
import re

from bench.support.paths import TOP, library

# What changes how an interpreter, the C library or numpy's libraries work. PYTHON*: all, also those of later versions.
CHANGES_RESULTS = re.compile(
    r"PYTHON\w*|SNAKEFISH_(TRACE|DEBUG)\w*|LD_(?!LIBRARY_PATH)\w*|MALLOC_\w*|GLIBC_TUNABLES|GCONV_PATH|"
    r"(OMP|GOMP|KMP|OPENBLAS|MKL|BLIS|NUMEXPR|VECLIB)_\w*|COVERAGE_\w*")
MAY_MATTER = re.compile(r"LD_LIBRARY_PATH|LANG|LC_\w*|TZ|SNAKEFISH_\w*")


def left_out():
    """Names of the variables of this process that samples do not get."""
    return sorted(name for name in os.environ if CHANGES_RESULTS.fullmatch(name))


def passed_on():
    """{name: value} of those that they get and that may matter; of a path only that there is one."""
    return {name: "(a path)" if "/" in value else value for name, value in sorted(os.environ.items())
            if MAY_MATTER.fullmatch(name) and not CHANGES_RESULTS.fullmatch(name)}


def environment(lifeline=None):
    """For a process that runs a workload. PYTHONPATH stays, behind the checkout's own: the program may need it."""
    env = {name: value for name, value in os.environ.items() if not CHANGES_RESULTS.fullmatch(name)}
    if lifeline:
        env["TMPDIR"] = lifeline.folder
    paths = [str(library()), str(TOP), os.environ.get("PYTHONPATH")]
    return {**env, "PYTHONPATH": os.pathsep.join(p for p in paths if p)}


def note():
    """One line about what is left out; None: nothing is."""
    names = [name for name in left_out() if name != "PYTHONPATH"]
    return f"samples run without {', '.join(names)}, which would change the results" if names else None
