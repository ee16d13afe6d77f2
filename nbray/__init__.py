"""nbray makes a Jupyter notebook the front end of a cluster.

    >>> import nbray
    >>> @nbray.remote
    ... def square(x):
    ...     return x * x
    >>> nbray.get([square.remote(x) for x in range(4)])
    [0, 1, 4, 9]

The package, from the top down; each layer imports only what stands below it:

    cli, worker_main                  the command `nbray`; a worker's entry point
    notebook/                         `%load_ext nbray`: magics, `%%remote`, cards, output, Stop
    trainers, tune/                   Trainer; Tuner, searchers, schedulers: the best configuration of a function
    joblib, util                      joblib's backend; ActorPool, Queue, multiprocessing.Pool
    executor, placement_groups        nbray.Executor; resources set aside for tasks that belong together
    chaos                             faults on purpose: workers killed, a full store, a failing disk
    parallel_map                      nbray.map
    timelines, memory_report, worker_stacks   what ran when, what fills the store, what workers do
    scaling                           how many workers there are
    remote_functions, introspection   @nbray.remote, calls by name; resources, nodes, lists, where code runs
    streams                           ObjectRefGenerator, of functions that yield
    actors, actor_handles             classes as actors, their handles
    objects                           ObjectRef, get, put, wait, cancel, as_completed
    session                           init, shutdown, which backend, which cell run
    backends/                         the abstract Backend; local
    engine/                           processes, sockets, workers
    scheduler/, store/                who runs what; where the bytes are
    functions, serialization          code and values as bytes
    errors, ids, resources, config, snapshot

Importing nbray imports none of this: a name is looked up when it is first used.
"""

from __future__ import annotations

from importlib import import_module

from nbray.import_hooks import when_imported

TYPE_CHECKING = False  # as `typing` has it, without the milliseconds that importing it takes
if TYPE_CHECKING:
    from typing import Any

    from nbray.actors import ActorClass, ActorHandle, exit_actor, get_actor, kill, method
    from nbray.backends.backend import CancelReport
    from nbray.errors import (
        ActorDied,
        ClusterDied,
        ClusterError,
        GetTimeoutError,
        InfeasibleRequest,
        InternalError,
        NbrayError,
        NotShippable,
        NotSupportedHere,
        ObjectLost,
        OutOfMemory,
        PlacementGroupRemoved,
        QuitAtBreakpoint,
        RemoteError,
        ResultNotShippable,
        StartFailed,
        StoreFull,
        TaskCancelledError,
        TaskError,
        TaskTimeout,
        TuneError,
        UsageError,
        WorkerDied,
        WrongCluster,
        WrongType,
    )  # fmt: skip
    from nbray.executor import Executor
    from nbray.introspection import (
        available_resources,
        cluster_resources,
        list_actors,
        list_objects,
        list_tasks,
        list_workers,
        nodes,
    )
    from nbray.memory_report import memory
    from nbray.objects import ObjectRef, cancel, get, put
    from nbray.parallel_map import MapResult
    from nbray.parallel_map import parallel_map as map
    from nbray.plots import plot
    from nbray.progress_bars import progress
    from nbray.remote_functions import RemoteFunction, apply_async, register_remote_function, remote
    from nbray.runtime_context import get_gpu_ids, get_runtime_context
    from nbray.scaling import scale
    from nbray.session import init, is_initialized, shutdown
    from nbray.streams import DynamicObjectRefGenerator, ObjectRefGenerator
    from nbray.timelines import timeline
    from nbray.waiting import as_completed, wait
    from nbray.worker_stacks import stack

__version__ = "0.1.0"

__all__ = [
    "init", "shutdown", "is_initialized", "scale",
    "remote", "RemoteFunction", "register_remote_function", "apply_async", "map", "MapResult", "Executor", "progress",
    "plot",
    "ObjectRef", "get", "put", "wait", "cancel", "CancelReport", "as_completed",
    "ObjectRefGenerator", "DynamicObjectRefGenerator",
    "ActorClass", "ActorHandle", "method", "get_actor", "kill", "exit_actor",
    "cluster_resources", "available_resources", "nodes", "list_tasks", "list_actors", "list_objects", "list_workers", "timeline",
    "memory", "stack",
    "get_runtime_context", "get_gpu_ids",
    "NbrayError", "UsageError", "WrongType", "NotShippable", "InfeasibleRequest", "WrongCluster", "NotSupportedHere",
    "TaskError", "RemoteError", "TaskCancelledError", "TaskTimeout", "ResultNotShippable", "QuitAtBreakpoint", "TuneError",
    "WorkerDied",
    "ActorDied", "PlacementGroupRemoved", "OutOfMemory",
    "ClusterError", "ClusterDied", "StoreFull", "ObjectLost", "StartFailed", "GetTimeoutError", "InternalError",
]  # fmt: skip

_HOMES = {
    "actors": ("ActorClass", "ActorHandle", "exit_actor", "get_actor", "kill", "method"),
    "backends.backend": ("CancelReport",),
    "executor": ("Executor",),
    "introspection": (
        "available_resources", "cluster_resources", "list_actors", "list_objects", "list_tasks", "list_workers", "nodes",
    ),
    "memory_report": ("memory",),
    "objects": ("ObjectRef", "cancel", "get", "put"),
    "parallel_map": ("MapResult", "map"),
    "plots": ("plot",),
    "progress_bars": ("progress",),
    "remote_functions": ("RemoteFunction", "apply_async", "register_remote_function", "remote"),
    "waiting": ("as_completed", "wait"),
    "streams": ("DynamicObjectRefGenerator", "ObjectRefGenerator"),
    "runtime_context": ("get_gpu_ids", "get_runtime_context"),
    "scaling": ("scale",),
    "session": ("init", "is_initialized", "shutdown"),
    "timelines": ("timeline",),
    "worker_stacks": ("stack",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import the name's module at first use; every error's home is `nbray.errors`."""
    if name in ("errors", "exceptions"):  # the same, the latter with Ray's names beside nbray's
        return import_module(f"nbray.{name}")
    if name in ("actor", "chaos", "joblib", "runtime_context", "runtime_env", "trainers", "tune", "util"):
        return import_module(f"nbray.{name}")
    if name not in __all__:
        raise AttributeError(f"module 'nbray' has no attribute {name!r}")
    module = import_module(f"nbray.{_MODULE_OF.get(name, 'errors')}")
    value = getattr(module, "parallel_map" if name == "map" else name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext nbray` calls."""
    import_module("nbray.notebook.extension").load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext nbray` calls."""
    import_module("nbray.notebook.extension").unload_ipython_extension(shell)


def _offer_to_joblib(module: Any) -> None:
    """Let joblib know the backend "nbray"; what it is made of is imported when it is used."""
    module.register_parallel_backend("nbray", lambda **options: import_module("nbray.joblib").NbrayBackend(**options))


when_imported("joblib.parallel", _offer_to_joblib)
