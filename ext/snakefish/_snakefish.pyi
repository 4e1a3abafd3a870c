"""The C module. Its names are internal; those that the package passes on are described in __init__.pyi and trace.pyi."""

from typing import Any

def __getattr__(name: str) -> Any: ...
