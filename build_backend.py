"""How pip builds snakefish (PEP 517 and PEP 660): make compiles it, and what it has made is packed into a wheel.

It needs make, a C compiler and SQLite's headers, and no package of Python: neither setuptools nor wheel has to be there,
and with or without build isolation nothing is downloaded. The metadata is in pyproject.toml.

The collector is installed twice: inside the package, where `trace.start` finds it whatever the PATH is, and in the
environment's bin/, so that `snakefish-trace` is a command. Everything is built under build/pip. An editable install uses
it from there: the package is a directory of links to ext/snakefish, beside the compiled module.
"""

import ast
import base64
import contextlib
import glob
import hashlib
import io
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
import zipfile

TOP = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(TOP, "ext", "snakefish")
MODULE = "_snakefish" + sysconfig.get_config_var("EXT_SUFFIX")
COLLECTOR = "snakefish-trace"
BUILD = os.path.join("build", "pip")  # from TOP: make cannot work with spaces in the name of a directory
IN_SDIST = ("*.md", "LICENSE", "Makefile", "build_backend.py", "pyproject.toml", ".clang-format", ".clang-tidy",
            ".editorconfig", ".flake8", ".pre-commit-config.yaml", ".ci", "analysis", "bench", "ext", "tests", "tracer")


def project():
    """The table [project] of pyproject.toml. Its values are on one line each, and are literals of Python too, which has
    no reader of TOML before 3.11."""
    with open(os.path.join(TOP, "pyproject.toml"), encoding="utf-8") as file:
        table = file.read().partition("[project]\n")[2].partition("\n[")[0]
    lines = (line.partition(" = ") for line in table.splitlines() if " = " in line)
    return {key: ast.literal_eval(value) for key, _, value in lines}


def release():
    return "{name}-{version}".format(**project())


def metadata():
    known = project()
    with open(os.path.join(TOP, known["readme"]), encoding="utf-8") as file:
        readme = file.read()
    lines = ["Metadata-Version: 2.1", "Name: " + known["name"], "Version: " + known["version"],
             "Summary: " + known["description"], "License: " + known["license"], "License-File: LICENSE",
             *("Classifier: " + classifier for classifier in known["classifiers"]),
             "Requires-Python: " + known["requires-python"], "Description-Content-Type: text/markdown"]
    return "\n".join(lines) + "\n\n" + readme


def tag():
    """The wheel's tag: interpreter, ABI and platform, of the interpreter that runs this."""
    words = sysconfig.get_config_var("EXT_SUFFIX").split(".")[1].split("-")  # .cpython-311-x86_64-linux-gnu.so
    is_cpython = sys.implementation.name == "cpython"
    abi = "cp" + words[1] if is_cpython else "_".join(words[:2])
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return "{}{}{}-{}-{}".format("cp" if is_cpython else "pp", *sys.version_info[:2], abi, platform)


def make(build):
    """Compiles the module and the collector into the directory `build`."""
    if not sys.platform.startswith("linux"):
        sys.exit("snakefish works on Linux only.")
    if not shutil.which("make"):
        sys.exit("snakefish cannot be built without make. On Debian: apt-get install make gcc libc6-dev libsqlite3-dev")
    clean = {name: value for name, value in os.environ.items()
             if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    # CI= because a warning of a user's newer compiler must not fail the user's continuous integration
    variables = ["B=" + build, "CI=", "SAN=", "ASSERTS=", "PYTHON=" + sys.executable,
                 "PY_INCLUDE=" + sysconfig.get_path("include"), "PY_SUFFIX=" + sysconfig.get_config_var("EXT_SUFFIX")]
    made = [os.path.join(build, "lib", "snakefish", MODULE), os.path.join(build, "bin", COLLECTOR)]
    done = subprocess.run(["make", "--no-print-directory", f"-j{os.cpu_count()}", *variables, *made], cwd=TOP, env=clean,
                          stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit("snakefish was not built: make says above why.")


def is_writable():
    """Whether this user may write to BUILD, or to the directory in which it is to be made."""
    place = os.path.join(TOP, BUILD)
    while not os.path.exists(place):
        place = os.path.dirname(place)
    return os.access(place, os.W_OK)


@contextlib.contextmanager
def built():
    """The directory, from TOP, in which everything was built: a temporary one where the checkout cannot be written."""
    with contextlib.ExitStack() as stack:
        build = BUILD if is_writable() else stack.enter_context(tempfile.TemporaryDirectory())
        make(build)
        yield build


class Wheel:
    """A wheel that is being written. Add files; leaving the block adds those that tell about it."""

    def __init__(self, directory):
        self.name = release() + "-" + tag() + ".whl"
        self._zip = zipfile.ZipFile(os.path.join(directory, self.name), "w", zipfile.ZIP_DEFLATED)
        self._record = []

    def add(self, path, data, executable=False):
        info = zipfile.ZipInfo(path, time.localtime()[:6])
        info.external_attr = (0o100755 if executable else 0o100644) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, data)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
        self._record.append("{},sha256={},{}\n".format(path, digest, len(data)))

    def add_file(self, path, source, executable=False):
        with open(os.path.join(TOP, source), "rb") as file:
            self.add(path, file.read(), executable)

    def __enter__(self):
        return self

    def __exit__(self, *raised):
        if not raised[0]:
            for path, data in dist_info().items():
                self.add(path, data)
            record = release() + ".dist-info/RECORD"
            self._zip.writestr(record, "".join(self._record) + record + ",,\n")
        self._zip.close()


def dist_info():
    """Path in the wheel -> bytes of what tells about it."""
    directory = release() + ".dist-info/"
    with open(os.path.join(TOP, "LICENSE"), "rb") as file:
        licence = file.read()
    about = "Wheel-Version: 1.0\nGenerator: snakefish\nRoot-Is-Purelib: false\nTag: {}\n".format(tag())
    return {directory + "METADATA": metadata().encode(), directory + "WHEEL": about.encode(), directory + "LICENSE": licence}


def sources():
    """The files of the package that are not compiled."""
    patterns = ("*.py", "*.pyi", "py.typed", "entry/*.py")
    return [path for pattern in patterns for path in sorted(glob.glob(os.path.join(PACKAGE, pattern)))]


# ---- what pip calls: the names and parameters are PEP 517's and PEP 660's ----


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    for path, data in dist_info().items():
        path = os.path.join(metadata_directory, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    return release() + ".dist-info"


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with built() as build, Wheel(wheel_directory) as wheel:
        for path in sources():
            wheel.add_file("snakefish/" + os.path.relpath(path, PACKAGE), path)
        wheel.add_file("snakefish/" + MODULE, os.path.join(build, "lib", "snakefish", MODULE), executable=True)
        for directory in ("snakefish/bin/", release() + ".data/scripts/"):
            wheel.add_file(directory + COLLECTOR, os.path.join(build, "bin", COLLECTOR), executable=True)
    return wheel.name


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    if not is_writable():
        sys.exit("snakefish: an editable install is built in its checkout, and you may not write there. Install without -e.")
    make(BUILD)
    build = os.path.join(TOP, BUILD)
    package = os.path.join(build, "lib", "snakefish")
    for folder, _, names in os.walk(package):
        for path in (os.path.join(folder, name) for name in names):
            if os.path.islink(path):
                os.unlink(path)
    for path in sources():
        link = os.path.join(package, os.path.relpath(path, PACKAGE))
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(path, link)
    with Wheel(wheel_directory) as wheel:
        wheel.add("snakefish-editable.pth", (os.path.dirname(package) + "\n").encode())
        command = "#!/bin/sh\nexec {} \"$@\"\n".format(shlex.quote(os.path.join(build, "bin", COLLECTOR)))
        wheel.add(release() + ".data/scripts/" + COLLECTOR, command.encode(), executable=True)
    return wheel.name


def build_sdist(sdist_directory, config_settings=None):
    def is_source(member):
        name = os.path.basename(member.name)
        made = name == "__pycache__" or name.endswith((".pyc", ".so", ".egg-info")) or name in (".cache", ".pytest_cache")
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return None if made else member

    name = release() + ".tar.gz"
    with tarfile.open(os.path.join(sdist_directory, name), "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for pattern in IN_SDIST:
            for path in sorted(glob.glob(os.path.join(TOP, pattern))):
                archive.add(path, release() + "/" + os.path.relpath(path, TOP), filter=is_source)
        about = tarfile.TarInfo(release() + "/PKG-INFO")
        data = metadata().encode()
        about.size, about.mtime = len(data), int(time.time())
        archive.addfile(about, io.BytesIO(data))
    return name
