"""Where the checkout and the build are."""
import os
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]  # of the checkout


def library():
    """The folder that the package snakefish is imported from. SF_BUILD names another build folder than build/."""
    return Path(os.environ.get("SF_BUILD", TOP / "build")).absolute() / "lib"
