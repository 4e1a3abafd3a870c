"""pip installs snakefish into a new environment of each interpreter that is found, with build isolation, without it and
editable, and for a user who may not write to the checkout: `make stress`.

    python3 tests/stress/installs.py [--only 3.12]
"""

import argparse
import os
import subprocess
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import installed  # noqa: E402
import pythons  # noqa: E402

NOBODY = 65534
WAYS = {"isolated": [], "not isolated": ["--no-build-isolation"], "editable": ["--editable"]}


def install_and_use(python, checkout, place, options):
    before = installed.files(checkout)
    installed.install(python, *options, checkout)
    assert installed.files(checkout) == before
    found = installed.use(python, place)
    home = checkout if "--editable" in options else os.path.dirname(os.path.dirname(python))
    assert all(found[what].startswith(home) for what in ("package", "module", "collector")), found
    installed.run([python, "-m", "pip", "uninstall", "-y", "snakefish"], "/")


def by_somebody_else(place):
    """Who may not write to the checkout can install it, but not editable."""
    def somebody(*command):
        return installed.start(["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command], "/", HOME=home)

    checkout, home = os.path.join(place, "source"), os.path.join(place, "home")
    os.mkdir(home)
    os.chown(home, NOBODY, NOBODY)
    python = os.path.join(home, "venv", "bin", "python3")
    done = somebody(sys.executable, "-m", "venv", os.path.join(home, "venv"))
    assert done.returncode == 0, done.stdout
    done = somebody(python, "-m", "pip", "install", "-e", checkout)
    assert "an editable install is built in its checkout, and you may not write there" in done.stdout, done.stdout
    done = somebody(python, "-m", "pip", "install", checkout)
    assert done.returncode == 0, done.stdout
    assert somebody(python, "-c", "import snakefish; print(snakefish.map(abs, [-1]))").stdout == "[1]\n"


def can_make_environments(python):
    return subprocess.run([python, "-c", "import ensurepip, venv"], stderr=subprocess.DEVNULL).returncode == 0


def trial(name, counts, test, *arguments):
    try:
        test(*arguments)
        counts["passed"] += 1
        print(f"ok   {name}", flush=True)
    except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired):
        counts["failed"] += 1
        print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)


def skip(name, counts, reason):
    counts["skipped"] += 1
    print(f"skip {name}: {reason}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="only interpreters whose name contains this, such as pypy or 3.12")
    only = parser.parse_args().only
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        checkout = installed.copy_sources(os.path.join(place, "source"))
        for name, (path, version, has_headers, _) in pythons.interpreters().items():
            if only not in name or version < pythons.OLDEST:
                continue
            if not has_headers or not can_make_environments(path):
                skip(name, counts, "no Python.h, or no ensurepip")
                continue
            python = installed.make_environment(os.path.join(place, name), path)
            for way, options in WAYS.items():
                trial(f"{name} {way}", counts, install_and_use, python, checkout, os.path.dirname(python), options)
        if os.geteuid() != 0:
            skip("a user who may not write", counts, "needs root, to become somebody else")
        elif not only:
            os.rename(os.path.join(checkout, "build"), os.path.join(place, "built"))
            trial("a user who may not write", counts, by_somebody_else, place)
    print("{passed} passed, {failed} failed, {skipped} skipped".format(**counts))
    return 1 if counts["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
