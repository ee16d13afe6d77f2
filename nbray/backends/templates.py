"""What the local backend has registered with the scheduler already: functions, templates, lifted values."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from nbray import runtime_env, serialization
from nbray.backends.backend import CallOptions
from nbray.backends.contents import Contents, Data, sample_of
from nbray.engine import environment
from nbray.engine.connection import Connection
from nbray.functions import PickledFunction
from nbray.ids import CellRunId, ObjectId, TemplateId
from nbray.scheduler.messages import ForgetTemplates, RegisterFunction, RegisterTemplate, Template

KEPT_CELL_RUNS = 32
"""Templates of so many cell runs stay registered, so that functions which cells go on using are not sent again."""

LIFTED_SHARE = 0.5
"""So much of the store may be taken by captured large values, beyond those of the running cell."""

_Key = tuple[bytes, int]


class _Lifted(NamedTuple):
    sample: bytes
    size: int


class Templates:
    """Registers each function once, and each function with its options once a cell run; any thread.

    A function registered here keeps the values that were lifted out of it in the store, and so do the workers that have
    loaded it. What `find` returns, and a lifted value, stay valid while the caller holds `lock`, or until the store is full.
    """

    def __init__(self, link: Connection, store_limit: int, read: Callable[[ObjectId], Any]) -> None:
        self.lock = threading.RLock()
        """Reentrant: putting a lifted value may find the store full, which gives up what was lifted before."""
        self._link = link
        self._most_lifted = int(store_limit * LIFTED_SHARE)
        self._cell_runs: OrderedDict[CellRunId, dict[_Key, tuple[TemplateId, CallOptions]]] = OrderedDict()
        self._functions: dict[bytes, _Registered] = {}
        self._contents = Contents(read)
        self._lifted: OrderedDict[ObjectId, _Lifted] = OrderedDict()
        self._lifted_bytes = 0
        self.profile = runtime_env.EMPTY
        """What calls have where their options do not say: `init`'s, or in a worker its own."""
        self._unregistered: set[ObjectId] = set()
        """Lifted values whose function is being pickled."""

    def find(
        self, function: PickledFunction, options: CallOptions, cell_run: CellRunId, check: Callable[[CallOptions], int],
        method: str = "",
    ) -> TemplateId:  # fmt: skip
        """The template of a call; registers it at first use, when `check` refuses bad options or returns the retries.

        `method` is "__init__" where the function is the class of an actor that is created.
        """
        known = self._cell_runs.get(cell_run)
        if known is not None:
            entry = known.get((function.key, id(options)))
            if entry is not None:
                return entry[0]
        return self._register(function, options, cell_run, check(options), method)

    def find_method(self, method: str, name: str, options: CallOptions, cell_run: CellRunId) -> TemplateId:
        """The template of calls of a method, which needs no function; `name` is how it is shown."""
        key = name.encode()
        known = self._cell_runs.get(cell_run)
        if known is not None:
            entry = known.get((key, id(options)))
            if entry is not None:
                return entry[0]
        template = Template(
            self._link.next_template(), b"", name, cell_run, {}, options.num_returns, options.max_retries or 0,
            options=_worker_options(options), window=options.window, method=method,
        )  # fmt: skip
        with self.lock:
            self._functions.setdefault(key, _Registered(frozenset())).users += 1
            self._keep(template, key, options)
        return template.template_id

    def _register(
        self, function: PickledFunction, options: CallOptions, cell_run: CellRunId, max_retries: int, method: str
    ) -> TemplateId:
        profile = options.profile.over(self.profile)
        template = Template(
            self._link.next_template(), function.key, options.name or function.name, cell_run, options.resources,
            options.num_returns, max_retries, options.timeout or 0.0, _worker_options(options), environment.capture(profile),
            window=options.window, method=method, priority=options.priority, max_calls=options.max_calls,
            profile=profile.encode() if profile.needs_own_workers(environment.directory()) else b"",
            gang=options.gang, bundle=options.bundle,
        )  # fmt: skip
        with self.lock:
            registered = self._functions.get(function.key)
            if registered is None:
                registered = self._functions[function.key] = _Registered(frozenset(function.nested))
                self._link.post(RegisterFunction(function.key, function.name, function.blob, function.nested))
                self._unregistered -= registered.nested
            registered.users += 1
            self._keep(template, function.key, options)
        return template.template_id

    def _keep(self, template: Template, key: bytes, options: CallOptions) -> None:
        self._link.post(RegisterTemplate(template))
        # The options are kept beside the id: while they live, id(options) names no other object.
        self._cell_runs.setdefault(template.cell_run, {})[key, id(options)] = (template.template_id, options)
        self._cell_runs.move_to_end(template.cell_run)
        while len(self._cell_runs) > KEPT_CELL_RUNS:
            self._forget(next(iter(self._cell_runs)))

    def _forget(self, cell_run: CellRunId) -> None:
        templates = self._cell_runs.pop(cell_run)
        for key, _ in templates:
            self._functions[key].users -= 1
            if not self._functions[key].users:
                del self._functions[key]
        self._link.post(ForgetTemplates([template_id for template_id, _ in templates.values()]))

    # ---------------------------------------------------------------- lifted values

    def lift(self, data: Data, size: int, put: Callable[[], ObjectId]) -> ObjectId:
        """The object with this content; `put` makes it at the first call, and it stays for later cells while there is room."""
        sample = sample_of(data)
        with self.lock:
            object_id = self._contents.find(sample, data)
            if object_id is None:
                object_id = put()
                self._lifted[object_id] = _Lifted(sample, size)
                self._lifted_bytes += size
                self._contents.add(sample, object_id)
            self._lifted.move_to_end(object_id)
            self._unregistered.add(object_id)
        return object_id

    def begin_cell(self) -> None:
        """A new cell run begins: what was lifted for earlier ones may fill a part of the store only."""
        with self.lock:
            self._unregistered.clear()
            self._give_up(self._most_lifted)

    def give_up(self) -> bool:
        """Let go of all that is kept for later calls, because the store is full; returns whether that was anything."""
        with self.lock:
            return self._give_up(0)

    def _give_up(self, most: int) -> bool:
        """Release lifted values, the least recently used first, until the rest has `most` bytes, and forget who needs them."""
        released: set[ObjectId] = set()
        for object_id, lifted in list(self._lifted.items()):
            if self._lifted_bytes <= most:
                break
            if object_id not in self._unregistered:
                del self._lifted[object_id]
                self._lifted_bytes -= lifted.size
                self._contents.forget(lifted.sample, object_id)
                self._link.release(object_id)
                released.add(object_id)
        for cell_run, templates in list(self._cell_runs.items()):
            if any(self._functions[key].nested & released for key, _ in templates):
                self._forget(cell_run)
        return bool(released)


class _Registered:
    """A function that the scheduler keeps until its last template is forgotten."""

    __slots__ = ("nested", "users")

    def __init__(self, nested: frozenset[ObjectId]) -> None:
        self.nested = nested
        self.users = 0


def _worker_options(options: CallOptions) -> bytes:
    """What only the worker can decide: which exceptions are tried again; types that live in the notebook go by value."""
    if not options.retry_exceptions:
        return b""
    return serialization.encode(serialization.dumps(options.retry_exceptions))
