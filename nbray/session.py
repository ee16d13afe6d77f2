"""The one current session of this process: which cluster it uses, and which cell run its tasks belong to.

A driver starts a local cluster at the first use. A worker is born inside one: its entry point calls `adopt`.
"""

from __future__ import annotations

import atexit
import difflib
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

from nbray import resources as amounts
from nbray import terminal_bars
from nbray.backends import registry
from nbray.backends.backend import Backend
from nbray.cluster_info import ClusterInfo
from nbray.engine import task_context
from nbray.errors import ClusterDied, UsageError
from nbray.ids import BACKGROUND, CellRunId
from nbray.runtime_env import profile_of

Settings = dict[str, Any]

_HINTS = {
    "_memory": 'write memory="2GB" for the size of the object store',
}
_ABOUT_SERVERS = {
    "configure_logging", "dashboard_host", "dashboard_port", "include_dashboard", "log_to_driver", "logging_config",
    "logging_format", "logging_level",
}
"""Ray's arguments about servers and logs that there are none of here: programs that give them run all the same."""


class Session:
    """The state of this process; `_lock` guards starting and ending, all else is read without it."""

    __slots__ = (
        "_lock", "address", "backend", "cell_run", "defaults", "forked", "given", "in_worker", "label", "start_seconds",
        "started",
    )  # fmt: skip

    def __init__(self) -> None:
        self.backend: Backend | None = None
        self.address = registry.LOCAL
        self.given: Settings = {}
        """What `init` was told explicitly."""
        self.defaults: Settings = {}
        """What the notebook extension sets for a cluster that starts by itself."""
        self.in_worker = False
        self.forked = False
        self.cell_run = BACKGROUND
        self.label = ""
        self.start_seconds = 0.0
        """How long the latest cluster took to start."""
        self.started: Callable[[Backend], None] = lambda backend: None
        """Hears of each backend that starts: the notebook listens to its output."""
        self._lock = threading.RLock()

    def start(self, address: str, settings: Settings) -> Backend:
        """Start a cluster unless one runs; one that has died is cleared away first."""
        with self._lock:
            if self.backend is not None and not self.backend.lost:
                return self.backend
            self._refuse()
            self.end(stop=True)
            began = time.perf_counter()
            self.backend = registry.start(address, {**self.defaults, **settings})
            self.start_seconds = time.perf_counter() - began
            self.address, self.given = address, settings
            self.started(self.backend)
            if self.label:
                self.backend.describe_cell_run(self.cell_run, self.label)
            return self.backend

    def _refuse(self) -> None:
        if self.forked:
            raise UsageError(
                "this process was forked from one that uses nbray, and cannot use the cluster of its parent. Run the work as "
                'nbray tasks, or start the process afresh: multiprocessing.get_context("spawn").'
            )
        if self.in_worker:
            assert self.backend is not None
            raise ClusterDied(f"the cluster of this worker is gone: {self.backend.lost}")

    def end(self, *, stop: bool) -> None:
        """Leave the cluster if there is one, and let the next use start another."""
        with self._lock:
            backend, self.backend, self.given = self.backend, None, {}
            if backend is not None:
                backend.close(stop=stop)
            terminal_bars.BARS.finish()  # behind the last words of the tasks

    def mark_forked(self) -> None:
        """In the child of a fork: its threads, and so its connection, are gone."""
        self._lock = threading.RLock()
        if self.backend is not None:
            self.forked, self.in_worker, self.backend = True, False, None


current = Session()
"""The session of this process. It is read by the modules of the API; everybody else calls the functions below."""

submits_for: ContextVar[CellRunId | None] = ContextVar("nbray_submits_for", default=None)
"""See `submitting_for`; read by what submits."""


def init(
    address: str | None = None,
    *,
    num_workers: int | None = None,
    min_workers: int | None = None,
    max_workers: int | None = None,
    memory: float | str | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: Mapping[str, float] | None = None,
    linger: float | None = None,
    default_max_retries: int | None = None,
    preload: Sequence[str] | None = None,
    spill_directory: str | os.PathLike[str] | Literal[False] | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    namespace: str | None = None,
    **unknown: Any,
) -> ClusterInfo:
    """Start a cluster on this machine; calling it is optional, since the first use starts one by itself.

    `num_workers` defaults to the number of CPUs that this process may use. With `min_workers` and `max_workers`, one of them or
    both, there are as many between these as the queue needs. `memory` is the size of the object store, in bytes or as "2GB".
    `num_cpus`, `num_gpus` (by default the GPUs that this process may use) and `resources` are what tasks can ask for in all.
    `runtime_env` is what tasks have whose options do not say. The cluster outlives this process by `linger` seconds.
    `default_max_retries` is how often a task is run again when its worker died under it. `preload` names modules that workers
    import before they start. Objects for which the store has no room go to `spill_directory`, by default to your cache
    directory, and come back when they are used; `False` lets them go nowhere. `namespace` is where this notebook's actors have
    their names, by default one of its own.

    Calling it again is fine; with arguments that differ from the running cluster's it raises UsageError, which says which, or
    goes on with what runs under Ray's `ignore_reinit_error=True`. Ray's `object_store_memory` is `memory`; its arguments about
    dashboards and logs change nothing.
    Raises StartFailed.

    >>> import nbray
    >>> nbray.init(num_workers=2).workers
    2
    """
    memory = unknown.pop("object_store_memory", memory)
    keep_what_runs = bool(unknown.pop("ignore_reinit_error", False))
    _refuse_unknown(unknown)
    if current.in_worker:
        raise UsageError("init() was called inside a task: it runs in a cluster already. Use nbray.get, f.remote(...) directly.")
    asked = _checked(
        num_workers=num_workers, min_workers=min_workers, max_workers=max_workers, runtime_env=runtime_env, memory=memory,
        num_cpus=num_cpus, num_gpus=num_gpus, resources=resources, linger=linger, default_max_retries=default_max_retries,
        preload=preload, spill_directory=spill_directory, namespace=namespace,
    )  # fmt: skip
    where = registry.LOCAL if address is None else address
    registry.engine_of(where)
    running = current.backend
    if running is not None and not running.lost and not keep_what_runs:
        _refuse_difference(running, asked)
    backend = current.start(where, asked)
    return ClusterInfo.of(backend.name, backend.snapshot())


def shutdown() -> None:
    """End the cluster with its tasks and objects; does nothing where there is none. The next use starts a new one."""
    if current.in_worker:
        raise UsageError("shutdown() was called inside a task: it would end the cluster that runs it. Call it in the notebook.")
    current.end(stop=True)


RESTART_SECONDS = 0.1
"""A Jupyter server interrupts a kernel before it restarts it: so soon after the interrupt it says that it will."""
_parting = threading.Event()


def part() -> None:
    """This process is about to end, and its cluster goes on: what is printed from now on can be had by its successor."""
    _parting.set()
    if is_initialized():
        assert current.backend is not None
        current.backend.part()


def stay() -> None:
    """This process does not end after all."""
    _parting.clear()


def is_parting(seconds: float = RESTART_SECONDS) -> bool:
    """Was it no Stop that has interrupted the code, but the end of this process? Its work goes on then. Waits so long."""
    return _parting.wait(seconds)


def is_initialized() -> bool:
    """Whether this process has a cluster."""
    backend = current.backend
    return backend is not None and not backend.lost


def current_backend() -> Backend:
    """The backend in use; starts a local cluster where there is none, or where the last one has died."""
    backend = current.backend
    if backend is None or backend.lost:
        return current.start(registry.LOCAL, {})
    return backend


def adopt(backend: Backend) -> None:
    """Use this backend from now on: a worker's connection to the cluster that it belongs to."""
    current.backend = backend
    current.in_worker, current.forked = True, False


def set_defaults(**settings: Any) -> None:
    """What a cluster starts with where `init` does not say; a notebook asks for a longer `linger`, for example."""
    current.defaults.update(settings)


def current_cell_run() -> CellRunId:
    """The cell run that submissions of this thread belong to: a task's are its own, a driver's the running cell's."""
    context = task_context.current()
    return submits_for.get() or (current.cell_run if context is None else context.cell_run)


@contextmanager
def submitting_for(cell_run: CellRunId) -> Iterator[None]:
    """What this thread submits inside belongs to that cell run, whatever cell runs: housekeeping, to BACKGROUND, is counted by
    no cell's card and cancelled with no cell."""
    token = submits_for.set(cell_run)
    try:
        yield
    finally:
        submits_for.reset(token)


def set_cell_run(cell_run: CellRunId, label: str = "") -> None:
    """From now on this driver's tasks belong to `cell_run`; `label` is how cards and messages call it."""
    current.cell_run, current.label = cell_run, label
    backend = current.backend
    if backend is not None and label and not backend.lost:
        backend.describe_cell_run(cell_run, label)


def on_start(handler: Callable[[Backend], None] | None) -> None:
    """Call `handler` with the backend that runs, if one does, and with each that starts later, before its first task."""
    current.started = handler or (lambda backend: None)
    if handler is not None and current.backend is not None and not current.in_worker:
        handler(current.backend)


def _checked(**given: Any) -> Settings:
    """The settings that were given, each of the right kind."""
    asked = {name: value for name, value in given.items() if value is not None}
    for name in ("num_workers", "min_workers", "max_workers", "default_max_retries"):
        least = -1 if name == "default_max_retries" else 1
        if name in asked and (not isinstance(asked[name], int) or isinstance(asked[name], bool) or asked[name] < least):
            raise UsageError(f"{name}={asked[name]!r}: expected a whole number of at least {least}, for example {name}=2")
    for name in ("num_cpus", "num_gpus", "linger"):
        if name in asked:
            amounts.to_units(asked[name], name)
    _check_bounds(asked)
    if "runtime_env" in asked:
        profile_of(asked["runtime_env"])
    if "memory" in asked:
        asked["memory"] = amounts.to_bytes(asked["memory"], "memory")
    if "resources" in asked:
        asked["resources"] = dict(asked["resources"])
        amounts.request(resources=asked["resources"])
    if "namespace" in asked and (not isinstance(asked["namespace"], str) or not asked["namespace"].strip()):
        raise UsageError(f'namespace={asked["namespace"]!r}: expected text, for example namespace="shared"')
    if "preload" in asked:
        asked["preload"] = _module_names(asked["preload"])
    if "spill_directory" in asked:
        asked["spill_directory"] = _spill_directory(asked["spill_directory"])
    return asked


def _check_bounds(asked: Settings) -> None:
    least, most = asked.get("min_workers"), asked.get("max_workers")
    if "num_workers" in asked and (least or most):
        raise UsageError(
            f"num_workers={asked['num_workers']!r} is a fixed number, min_workers= and max_workers= are bounds: give one or the "
            "other"
        )
    if least and most and least > most:
        raise UsageError(f"min_workers={least} is more than max_workers={most}: expected the smaller number first")


def _spill_directory(asked: Any) -> str | Literal[False]:
    if asked is False:
        return False
    if not isinstance(asked, (str, os.PathLike)) or not os.fspath(asked):
        raise UsageError(f'spill_directory={asked!r}: expected a directory, such as "/scratch/me", or False for none')
    return str(Path(asked).expanduser().absolute())


def _module_names(preload: Sequence[str]) -> tuple[str, ...]:
    if isinstance(preload, str) or not all(isinstance(name, str) for name in preload):
        raise UsageError(f'preload={preload!r}: expected a list of names of modules, for example preload=["numpy", "pandas"]')
    return tuple(preload)


def _refuse_unknown(unknown: Mapping[str, Any]) -> None:
    for name in unknown.keys() - _ABOUT_SERVERS:
        known = list(init.__kwdefaults__ or {})
        near = difflib.get_close_matches(name, known, 1)
        hint = _HINTS.get(name) or (f"did you mean {near[0]}=?" if near else f"it knows {', '.join(known)}")
        raise UsageError(f"init() has no argument {name}=: {hint}")


def _refuse_difference(running: Backend, asked: Settings) -> None:
    has = {**current.given, **running.settings}
    differ = [
        f"{name}={value!r} (it runs with {has[name]!r})" if name in has else f"{name}={value!r} (it runs with the default)"
        for name, value in asked.items()
        if name not in has or has[name] != value
    ]
    if differ:
        raise UsageError(
            f"a cluster runs already, and differs: {', '.join(differ)}. Go on with it as it is, or end it with its tasks and "
            "objects by nbray.shutdown() and call init again."
        )


def _leave() -> None:
    """At exit: a script's cluster ends, a notebook's lingers as it was told to."""
    if not current.in_worker:
        current.end(stop=False)


atexit.register(_leave)
os.register_at_fork(after_in_child=lambda: current.mark_forked())
