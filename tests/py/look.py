"""What the tests share that run a program in several ways: a program that tells what it can see of how it was started."""

# Addresses in reprs are left out. With the argument "modules" it tells of the modules, too.
LOOK = r"""
import sys
modules = sorted(name for name in sys.modules if name.partition(".")[0] != "snakefish")
import inspect, os, re, warnings
main = sys.modules["__main__"]
def show(name, value):
    print(name, re.sub(r" at 0x\w+", "", repr(value)))
for name in ("__name__", "__file__", "__spec__", "__package__", "__loader__", "__builtins__", "__cached__", "__doc__"):
    show(name, getattr(main, name, "none"))
show("globals", main.__dict__ is globals())
show("argv", sys.argv)
show("orig_argv", getattr(sys, "orig_argv", None))
show("path", sys.path)
show("flags", sys.flags)
show("executable", sys.executable)
show("warnoptions", [sys.warnoptions, sys._xoptions, warnings.filters])
show("environment", sorted((k, v) for k, v in os.environ.items() if not k.startswith("SNAKEFISH_")))
show("meta_path", sys.meta_path)
show("sitecustomize", sys.modules.get("sitecustomize"))
show("depth", len(inspect.stack()))
show("optimised", __debug__)
show("cache", sorted(sys.path_importer_cache))
show("encodings", [sys.getfilesystemencoding(), sys.stdout.encoding])
if "modules" in sys.argv:
    show("modules", modules)
"""
