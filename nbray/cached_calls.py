"""Calls whose results are kept on disk: what a call's fingerprint is, and what is done at a hit and at a miss.

    driver   fingerprint of function and arguments -> kept? its value is put, and nothing runs
                                                   -> else the call goes out inside `run_and_keep`, with the fingerprint
    worker   runs the function, writes the result under that fingerprint

The worker writes, so that what runs while a kernel dies is kept too.
"""

from __future__ import annotations

import functools
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

from nbray import session
from nbray.backends import registry
from nbray.backends.backend import Backend, CallOptions
from nbray.engine import task_context
from nbray.errors import NbrayError
from nbray.fingerprints import Fingerprint, Untracked, fingerprint
from nbray.functions import name_of
from nbray.ids import CellRunId, ObjectId, Reference
from nbray.module_versions import ModuleVersions
from nbray.objects import ObjectRef
from nbray.result_cache import Head, ResultCache, default_directory, new_head
from nbray.runtime_env import profile_of
from nbray.wording import size_text, time_text

Function = Callable[..., Any]


class NotKept(UserWarning):
    """A call with `cache=True` that runs as if that had not been asked for; the message says why."""


class Order(NamedTuple):
    """What a worker has to know to keep a result."""

    key: str
    directory: str
    names: tuple[str, ...]
    modules: tuple[str, ...]
    files: tuple[tuple[str, str], ...]
    """Local source files that count, with their hashes: a result is not kept when they have changed meanwhile."""


class CachedCalls:
    """The calls of one function; may be used by any thread."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._sent = functools.partial(run_and_keep, function)
        self._told: set[tuple[CellRunId, str]] = set()

    def submit(
        self, backend: Backend, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions, cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        """As `Backend.submit`; where the result is kept, its id is that of a stored value."""
        try:
            order = self._order(backend, args, kwargs, options)
        except Untracked as untracked:
            self._warn(cell_run, f"{name_of(self._function)} runs without the cache: it uses {untracked}")
            return backend.submit(self._function, args, kwargs, options, cell_run)
        kept = ResultCache(Path(order.directory)).find(order.key)
        if kept is None:
            # Nothing that was changed since this cell began may travel in its old state: not a captured value that was
            # changed in place, not a module that was edited.
            backend.describe_cell_run(session.current.cell_run, session.current.label)
            return backend.submit(self._sent, (order, *args), kwargs, options, cell_run)
        self._tell(cell_run, kept.head)
        return [backend.put(kept.value)]

    def _order(
        self, backend: Backend, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions
    ) -> Order:
        if task_context.current() is not None:
            raise Untracked("what its task has, which is not tracked: call it from the notebook or script")
        modules = ModuleVersions()
        about = functools.partial(about_reference, backend, modules)
        function = fingerprint(self._function, modules.about, about)
        given = fingerprint((args, dict(kwargs), surroundings(options)), modules.about, about)
        if modules.files and backend.name == registry.SERIAL:
            raise Untracked(f"the local module {next(iter(modules.files))}, of which this process may hold an old version")
        return order_of(function, given, modules)

    def _tell(self, cell_run: CellRunId, head: Head) -> None:
        if (cell_run, head.name) not in self._told:
            self._told.add((cell_run, head.name))
            sys.stderr.write(f"{hit_text(head)}\n")

    def _warn(self, cell_run: CellRunId, text: str) -> None:
        if (cell_run, text) not in self._told:
            self._told.add((cell_run, text))
            warnings.warn(text, NotKept, stacklevel=4)


def order_of(code: Fingerprint, inputs: Fingerprint, modules: ModuleVersions) -> Order:
    """The order for a call with this code and these inputs."""
    names, facts = {*code.names, *inputs.names}, {*code.modules, *inputs.modules}
    return Order(
        xxhash.xxh3_128_hexdigest(f"{code.digest} {inputs.digest}".encode()), str(default_directory()),
        tuple(sorted(names)), tuple(sorted(facts)), tuple(sorted(modules.files.items())),
    )  # fmt: skip


def hit_text(head: Head) -> str:
    """What is said about a result that was kept."""
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(head.made))
    return (
        f"nbray: {head.name}: kept result of {made} (it took {time_text(head.took)}, {size_text(head.size)}); nothing was run. "
        "Files, time, randomness and the network are not tracked: %nbray cache clear forgets it."
    )


def surroundings(options: CallOptions) -> tuple[Any, ...]:
    """What else a task finds there."""
    profile = options.profile.over(profile_of(session.current.given.get("runtime_env")))
    if profile.working_dir or profile.module_folders:
        raise Untracked("a runtime_env with files of its own (working_dir, py_modules)")
    return profile.env_vars, sorted(options.resources.items())


def about_reference(backend: Backend, modules: ModuleVersions, reference: Reference) -> str:
    """A value that is there counts by its contents, so that it is the same one in the next kernel."""
    if not isinstance(reference, ObjectRef):
        raise Untracked(f"{reference!r}, whose state is not tracked")
    if reference.epoch != backend.epoch or backend.state(reference.id) != "ready":
        return f"{reference.epoch} {reference.id}"
    value = backend.get([reference.id])[0]
    found = fingerprint(value, modules.about, functools.partial(about_reference, backend, modules))
    return f"value {found.digest}"


# -------------------------------------------------------------------- in the worker


def run_and_keep(function: Function, order: Order, /, *args: Any, **kwargs: Any) -> Any:
    """Run a function and keep what it returns; says so on stderr where that cannot be."""
    started = time.perf_counter()
    value = function(*args, **kwargs)
    keep(value, order, name_of(function), time.perf_counter() - started)
    return value


def keep(value: Any, order: Order, name: str, took: float) -> None:
    """Keep a result under its order's fingerprint."""
    edited = [path for path, digest in order.files if _hash(path) != digest]
    if edited:
        problem = f"{edited[0]} has changed while it ran"
    else:
        try:
            head = new_head(name, took, order.names, order.modules)
            problem = ResultCache(Path(order.directory)).keep(order.key, value, head)
        except NbrayError:  # it cannot be shipped either, which its task tells
            return
    if problem:
        sys.stderr.write(f"nbray: the result of {name} is not kept: {problem}\n")


def _hash(path: str) -> str:
    try:
        return xxhash.xxh3_128_hexdigest(Path(path).read_bytes())
    except OSError:  # deleted meanwhile
        return ""
