"""`python3 -m bench report`: the R report of bench databases and traces."""
import os
import shutil
import subprocess

from bench.results import compute
from bench.run.choice import Usage
from bench.support.paths import TOP

SCRIPT = TOP / "analysis" / "report.R"


def report(databases, traces, beside, directory):
    """Returns Rscript's exit code."""
    if not shutil.which("Rscript"):
        raise Usage("the report needs R, and there is no Rscript: install r-base-core and what else `make deps` installs")
    with compute.files(databases) as computed:
        arguments = [word for option, paths in (("--bench", computed), ("--trace", traces), ("--beside", beside))
                     for path in paths for word in (option, os.fspath(path))]
        return subprocess.run(["Rscript", SCRIPT, *arguments, "-o", directory]).returncode
