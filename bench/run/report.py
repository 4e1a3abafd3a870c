"""`python3 -m bench report`: the R report of bench databases and traces."""
import os
import shutil

from bench.run.choice import Usage

SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "analysis", "report.R")


def report(databases, traces, beside, directory):
    """Becomes Rscript: does not return, unless there is none."""
    if not shutil.which("Rscript"):
        raise Usage("the report needs R, and there is no Rscript: install r-base-core and what else `make deps` installs")
    arguments = [word for path in databases for word in ("--bench", path)]
    arguments += [word for path in traces for word in ("--trace", path)]
    arguments += [word for path in beside for word in ("--beside", path)]
    os.execvp("Rscript", ["Rscript", SCRIPT, *arguments, "-o", directory])
