"""For pip: runs make and puts the results into the wheel. The metadata is in pyproject.toml.

The collector is installed twice: inside the package, where `trace.start` finds it whatever the PATH is, and in the
environment's bin/, so that `snakefish-trace` is a command.
"""

import os
import shutil
import subprocess
import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


class Make(build_ext):
    def build_extension(self, extension):
        build = os.path.abspath(os.path.join(self.build_temp, "make"))
        # CI= because a warning of a user's newer compiler must not fail the user's continuous integration
        subprocess.check_call(["make", "--no-print-directory", f"-j{os.cpu_count()}", "CI=", "SAN=", "ASSERTS=",
                               "B=" + build, "PYTHON=" + sys.executable, "ext", "tracer"])
        target = self.get_ext_fullpath(extension.name)
        package = os.path.dirname(target)
        os.makedirs(os.path.join(package, "bin"), exist_ok=True)
        shutil.copy2(os.path.join(build, "lib", "snakefish", os.path.basename(target)), target)
        collector = os.path.join(build, "bin", "snakefish-trace")
        shutil.copy2(collector, os.path.join(package, "bin", "snakefish-trace"))
        if not self.inplace:  # the path exists only now; setuptools reads data_files after this step
            self.distribution.data_files = [("bin", [os.path.relpath(collector)])]


setup(ext_modules=[Extension("snakefish._snakefish", sources=[])], cmdclass={"build_ext": Make})
