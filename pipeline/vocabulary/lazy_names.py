"""Loads the names that a package exports when they are first used, so that a process imports only what it needs."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a function `__getattr__` for a package. Python calls it for each name that the package lacks.

    The function imports the module that defines the name.

    Args:
        package: the package's name.
        homes: name of a module in the package → names that the package exports from this module, separated by spaces.
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}

    def load(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(f"{package}.{home_of[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return load
