"""Packages that a cell uses and whose versions differ between here and the workers: named before the cell runs."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
import sys
from collections.abc import Iterable, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any

from nbray.backends.backend import Backend

PYTHON = "python"
_DEFINED = (FunctionType, BuiltinFunctionType, type)


def warning(backend: Backend, modules: Iterable[str], values: Mapping[str, Any]) -> str:
    """What to say before a cell runs that uses these modules and values; "" where all is the same, or has been said."""
    if not backend.has_own_packages:
        return ""
    here = versions({PYTHON, *used(modules, values)})
    told = _told.setdefault(backend.epoch, set())
    found = {name: text for name, text in differences(here, backend.package_versions(list(here))).items() if name not in told}
    told.update(found)
    return "".join(f"nbray: {text}\n" for text in found.values())


_told: dict[str, set[str]] = {}
"""By the epoch of a cluster: each difference is said once."""


def differences(here: Mapping[str, str], there: Mapping[str, str]) -> dict[str, str]:
    """What is to be said of each package whose version differs; "" is the version of one that is missing.

    Packages that only one side knows of are not compared.

    >>> differences({"xgboost": "3.0", "torch": "2.9"}, {"xgboost": "", "torch": "2.9"})
    {'xgboost': 'xgboost (3.0 here) is not installed on the workers: install it there, or leave it out'}
    """
    found = {}
    for name in sorted(here.keys() & there.keys()):
        if here[name] == there[name]:
            continue
        if not there[name]:
            found[name] = f"{name} ({here[name]} here) is not installed on the workers: install it there, or leave it out"
        elif not here[name]:
            found[name] = f"{name} ({there[name]} on the workers) is not installed here: what comes back may not load"
        else:
            effect = "what is pickled on one side may not load on the other"
            found[name] = f"{name} is {here[name]} here and {there[name]} on the workers: {effect}"
    return found


def used(modules: Iterable[str], values: Mapping[str, Any]) -> set[str]:
    """The packages behind a cell's modules and values: those of their types; of functions and classes, where they are defined."""
    homes = [str(value.__module__) if issubclass(type(value), _DEFINED) else type(value).__module__ for value in values.values()]
    tops = {name.partition(".")[0] for name in (*modules, *homes)}
    return {name for name in tops if name not in sys.stdlib_module_names and name not in ("__main__", "nbray", "None")}


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The versions of these packages in this process, by the names of their modules; of modules of no package nothing."""
    found = {name: platform.python_version() if name == PYTHON else _version(name) for name in packages}
    return {name: version for name, version in found.items() if version}


@functools.cache
def _version(module: str) -> str:
    for name in (module, *_distributions().get(module, ())):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
