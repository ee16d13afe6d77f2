"""What a cell's code took on its worker, told to the notebook beside its output: moments, CPU, versions of what it had imported.

In the worker, on the thread that runs tasks. It is told when the outcome has been packed, also where the cell has failed.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import sys
import time
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from nbray.engine import task_context
from nbray.engine.task_context import TaskContext
from nbray.notebook.local_versions import LoadedModules

STREAM = "measures"
"""Under which they travel, as `OutputEvent.stream` has it."""


class Measures(msgspec.Struct, frozen=True):
    """Of one task that ran a cell's code; moments of this machine's monotonic clock."""

    began: float
    unpacked: float
    ran: float
    packed: float
    cpu: float
    worker: str
    attempt: int
    python: str
    modules: dict[str, str]
    """Local modules that are imported here, with hashes of their sources as they were then."""
    packages: dict[str, str]
    """Packages that the cell's names come from, with their versions."""


class _Running:
    """The task whose moments are noted."""

    def __init__(self, context: TaskContext) -> None:
        self.context = context
        self.since = time.time()
        self.began = context.began or time.perf_counter()
        self.unpacked = self.ran = self.began
        self.cpu = 0.0
        self.packages: dict[str, str] = {}


_running: _Running | None = None


def begin() -> None:
    """The running task unpacks the inputs of a cell next; what it takes from here on is told when it has ended."""
    global _running
    context = task_context.current()
    if context is None:
        return
    _running = _Running(context)
    task_context.at_end(functools.partial(_tell, _running))


@contextmanager
def running(namespace: Mapping[str, Any]) -> Iterator[None]:
    """Around the code of a cell, which runs in this namespace."""
    measured = _running
    if measured is None or measured.context.task_id != task_context.current_id():
        yield
        return
    measured.unpacked, before = time.perf_counter(), _cpu()
    try:
        yield
    finally:
        measured.ran, measured.cpu = time.perf_counter(), _cpu() - before
        measured.packages = packages_of(namespace)


def _tell(measured: _Running) -> None:
    global _running
    if _running is measured:
        _running = None
    context, packed = measured.context, time.perf_counter()
    told = Measures(
        measured.began, measured.unpacked, measured.ran, packed, measured.cpu, context.worker, context.attempt,
        ".".join(map(str, sys.version_info[:3])), LOADED.versions(measured.since), measured.packages,
    )  # fmt: skip
    context.emit(STREAM, msgspec.json.encode(told))


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


# -------------------------------------------------------------------- versions


LOADED = LoadedModules()


def packages_of(namespace: Mapping[str, Any]) -> dict[str, str]:
    """The installed packages that names in a namespace come from, with their versions.

    >>> import msgspec, json
    >>> list(packages_of({"msgspec": msgspec, "dumps": json.dumps, "x": 1}))
    ['msgspec']
    """
    roots = {_origin(value).partition(".")[0] for value in list(namespace.values())}
    found = {root: version for root in sorted(roots) if root and (version := _installed_version(root))}
    found.pop("nbray", None)
    found.pop("IPython", None)  # the shell's own
    return found


def _origin(value: Any) -> str:
    if isinstance(value, types.ModuleType):
        return value.__name__
    named = isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType))
    return str(getattr(value, "__module__", "") or "") if named else type(value).__module__


def _installed_version(root: str) -> str:
    if root in sys.stdlib_module_names or root == "__main__":
        return ""
    version = getattr(sys.modules.get(root), "__version__", "")
    return version if isinstance(version, str) and version else _distributed(root)


@functools.cache
def _distributed(root: str) -> str:
    try:
        return importlib.metadata.version(root)
    except importlib.metadata.PackageNotFoundError:  # a local module, or one of a package with another name
        return ""
