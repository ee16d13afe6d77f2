"""What a measurement needs of a system, said in each system's own public API.

Every measurement is written once, on `System`. A system that has no such thing (an executor has no `put`) raises
`Unsupported`, and the table shows a dash.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

WORKERS = 2


class Unsupported(Exception):
    """The system has no such thing."""


class System(ABC):
    """One way to run Python functions in two worker processes."""

    module: str
    """What must be importable."""
    one_by_one = 10_000
    """How many tasks `throughput` submits: fewer where that many would take minutes."""
    map_items = 100_000
    """How many items `map` is measured with, likewise."""

    @abstractmethod
    def start(self) -> None:
        """Import the library and start the workers."""

    @abstractmethod
    def stop(self) -> None:
        """End everything, as the library's manual says."""

    @abstractmethod
    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        """One call; a handle of its result."""

    @abstractmethod
    def gather(self, handles: Sequence[Any]) -> list[Any]:
        """All results, in order."""

    @abstractmethod
    def map(self, function: Callable[[Any], Any], items: Sequence[Any]) -> Iterable[Any]:
        """Apply to each, in as large chunks as the system's users would choose."""

    def put(self, value: Any) -> Any:
        """Store a value once for many tasks; what it returns may be an argument of `submit`."""
        raise Unsupported

    def get(self, stored: Any) -> Any:
        """The value of a `put`."""
        raise Unsupported

    def takes_handles(self) -> None:
        """Raise Unsupported unless a handle may be an argument of `submit`."""
        raise Unsupported

    def stored_bytes(self) -> int:
        """Bytes of live objects in the store."""
        raise Unsupported

    def printing_cells(self, loop: str) -> tuple[str, str]:
        """A notebook's first cell, and one that runs `loop` on one worker with its prints shown under the cell."""
        raise Unsupported


def installed() -> dict[str, type[System]]:
    """The systems that can be imported here, nbray first."""
    from tests.benchmarks import peers
    from tests.benchmarks.nbray_system import Nbray

    known: dict[str, type[System]] = {
        "nbray": Nbray,
        "ray": peers.Ray,
        "dask": peers.Dask,
        "ipyparallel": peers.Ipyparallel,
        "loky": peers.Loky,
        "executor": peers.Executor,
    }
    return {name: system for name, system in known.items() if importlib.util.find_spec(system.module)}
