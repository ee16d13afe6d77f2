"""What a worker gets by importing a module of that name, so that it can travel as a name."""

from __future__ import annotations

import sys
from typing import Any

_MAIN_MODULES = ("__main__", "__mp_main__")
_ABSENT = object()
_importable_packages: set[str] = {__name__.partition(".")[0]}
"""Packages that were found; nbray is in every worker, also where this process has left the folder that it was imported from."""


def is_importable(obj: Any) -> bool:
    """Whether a worker gets this very function or class by importing its module."""
    module_name = getattr(obj, "__module__", None)
    if not isinstance(module_name, str) or module_name in _MAIN_MODULES:
        return False
    found: Any = sys.modules.get(module_name)
    if found is None:
        return False
    for part in obj.__qualname__.split("."):
        found = getattr(found, part, _ABSENT)
    return found is obj and is_importable_module(module_name)


def is_importable_module(name: str) -> bool:
    """Whether a worker, which has the driver's sys.path, can import this module by its name."""
    package = name.partition(".")[0]
    if package in _importable_packages or package in sys.stdlib_module_names:
        return package not in _MAIN_MODULES
    if not any(_finds(finder, package) for finder in sys.meta_path):
        return False
    _importable_packages.add(package)
    return True


def _finds(finder: Any, package: str) -> bool:
    find_spec = getattr(finder, "find_spec", None)
    return find_spec is not None and find_spec(package, None) is not None
