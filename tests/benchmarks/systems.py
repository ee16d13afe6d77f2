"""What a measurement needs of a system, said in each system's own public API.

Every measurement is written once, on `System`. A system that has no such thing (an executor has no `put`) raises
`Unsupported`, and the table shows a dash.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

WORKERS = 2

Report = Callable[[dict[str, Any]], object]
"""What a trial calls with its metrics; it returns when the trial may go on."""
TrialFunction = Callable[[dict[str, Any], Report], dict[str, float]]


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
    actors = 100
    """How many actors are made at once, likewise."""
    queued_items = 1_000_000
    """How many tasks are queued or objects are alive at once, likewise."""
    trials = 1000
    """How many short trials are run, likewise."""
    searches = 3
    """How often a search of twenty trials is repeated, likewise."""
    parts: frozenset[str] = frozenset({"core"})
    """The parts of nbray that it is a peer of."""

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

    def actor(self, cls: type, concurrency: int = 1) -> Any:
        """An object of the class that lives in a worker and takes this many calls at once; returns at once."""
        raise Unsupported

    def call(self, actor: Any, method: str, *args: Any) -> Any:
        """One call of a method; a handle of its result."""
        raise Unsupported

    def answers(self, handles: Sequence[Any]) -> list[Any]:
        """All results of calls, in order."""
        return self.gather(handles)

    def one_at_a_time(self, handles: Sequence[Any]) -> None:
        """Take finished handles off the list, one by one, in the words that the system's manual has for it."""
        raise Unsupported

    def cancel(self, handles: Sequence[Any]) -> None:
        """Cancel queued tasks; returns when that is done."""
        raise Unsupported

    def stream(self, function: Callable[..., Any], *args: Any) -> Iterable[Any]:
        """The values that a generator yields on a worker, as they come."""
        raise Unsupported

    def many_values(self, function: Callable[[int], Any], count: int) -> Sequence[Any]:
        """Handles of `count` values that one call returns."""
        raise Unsupported

    def queueing_process(self) -> int:
        """The pid of the process that keeps queued tasks and small results: the driver where nothing else is said."""
        return os.getpid()

    def tune(self, function: TrialFunction, samples: int, warm: bool) -> list[Mapping[str, Any]]:
        """Call the function in as many trials, with `x` between 0 and 1; what each reported last.

        `warm` lets one trial follow another in the same process.
        """
        raise Unsupported

    def joblib_backend(self) -> contextlib.AbstractContextManager[Any]:
        """While it is entered, joblib runs on the workers."""
        raise Unsupported

    def stored_objects(self) -> int:
        """How many objects are alive, after what this process has released."""
        raise Unsupported

    def stored_bytes(self) -> int:
        """Bytes of live objects in the store."""
        raise Unsupported

    def cell_magic(self) -> tuple[str, str]:
        """A notebook's first cell, and the magic under which a cell runs on one worker."""
        raise Unsupported

    def printing_cells(self, loop: str) -> tuple[str, str]:
        """A notebook's first cell, and one that runs `loop` on one worker with its prints shown under the cell."""
        raise Unsupported


class RaysNames(System):
    """A library whose module has Ray's names: Ray itself, and nbray."""

    parts = frozenset({"core", "tune", "cells"})

    def use(self, module: Any) -> None:
        """Called by `start`."""
        self.api = module
        self._remote: dict[Callable[..., Any], Any] = {}
        self._several: dict[tuple[Callable[..., Any], int], Any] = {}

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        remote = self._remote.get(function)
        if remote is None:
            remote = self._remote[function] = self.api.remote(function)
        return remote.remote(*args)

    def gather(self, handles: Sequence[Any]) -> list[Any]:
        results: list[Any] = self.api.get(list(handles))
        return results

    def put(self, value: Any) -> Any:
        return self.api.put(value)

    def get(self, stored: Any) -> Any:
        return self.api.get(stored)

    def takes_handles(self) -> None:
        return

    def actor(self, cls: type, concurrency: int = 1) -> Any:
        options = {"max_concurrency": concurrency} if concurrency > 1 else {}
        return self.api.remote(num_cpus=0, **options)(cls).remote()

    def call(self, actor: Any, method: str, *args: Any) -> Any:
        return getattr(actor, method).remote(*args)

    def one_at_a_time(self, handles: Sequence[Any]) -> None:
        rest = list(handles)
        while rest:
            _, rest = self.api.wait(rest)

    def stream(self, function: Callable[..., Any], *args: Any) -> Iterable[Any]:
        for ref in self.api.remote(num_returns="streaming")(function).remote(*args):
            yield self.api.get(ref)

    def tune(self, function: TrialFunction, samples: int, warm: bool) -> list[Mapping[str, Any]]:
        tune = importlib.import_module(f"{self.module}.tune")

        def trainable(config: dict[str, Any]) -> dict[str, float]:
            return function(config, tune.report)

        with tempfile.TemporaryDirectory() as directory:
            results = tune.Tuner(
                trainable,
                param_space={"x": tune.uniform(0, 1)},
                tune_config=tune.TuneConfig(num_samples=samples, metric="score", mode="max", reuse_actors=warm),
                run_config=tune.RunConfig(storage_path=directory, name="benchmark", verbose=0),
            ).fit()
            return [dict(result.metrics) for result in results]

    def many_values(self, function: Callable[[int], Any], count: int) -> Sequence[Any]:
        remote = self._several.get((function, count))
        if remote is None:
            remote = self._several[function, count] = self.api.remote(num_returns=count)(function)
        handles: Sequence[Any] = remote.remote(count)
        return handles


def installed() -> dict[str, type[System]]:
    """The systems that can be imported here, nbray first."""
    from tests.benchmarks import peers
    from tests.benchmarks.nbray_system import Nbray

    known: dict[str, type[System]] = {
        "nbray": Nbray,
        "ray": peers.Ray,
        "dask": peers.Dask,
        "ipyparallel": peers.Ipyparallel,
        "optuna": peers.Optuna,
        "loky": peers.Loky,
        "executor": peers.Executor,
    }
    return {name: system for name, system in known.items() if importlib.util.find_spec(system.module)}
