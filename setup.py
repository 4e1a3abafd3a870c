"""pip install: the Makefile builds, this puts what it built into the wheel. The metadata is in pyproject.toml."""

import os
import shutil
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class Make(build_ext):
    def build_extension(self, extension):
        build = os.path.abspath(os.path.join(self.build_temp, "make"))
        # CI= : where others build this in their continuous integration, a new compiler's warning is no error
        subprocess.check_call(["make", "--no-print-directory", "CI=", "SAN=", "ASSERTS=", "B=" + build,
                               "PYTHON=" + sys.executable, "ext", "tracer"])
        target = self.get_ext_fullpath(extension.name)
        package = os.path.dirname(target)
        os.makedirs(os.path.join(package, "bin"), exist_ok=True)
        shutil.copy2(os.path.join(build, "lib", "snakefish", os.path.basename(target)), target)
        shutil.copy2(os.path.join(build, "bin", "snakefish-trace"), os.path.join(package, "bin", "snakefish-trace"))


setup(ext_modules=[Extension("snakefish._snakefish", sources=[])], cmdclass={"build_ext": Make})
