"""What the local backend has registered with the scheduler already: functions, templates, lifted values."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from nbray import serialization
from nbray.backends.backend import CallOptions
from nbray.engine import environment
from nbray.engine.connection import Connection
from nbray.functions import PickledFunction
from nbray.ids import CellRunId, ObjectId, TemplateId
from nbray.scheduler.messages import ForgetTemplates, RegisterFunction, RegisterTemplate, Template

KEPT_CELL_RUNS = 32
"""Templates of so many cell runs stay registered, so that functions which cells go on using are not sent again."""

KEPT_LIFTED = 256
"""So many captured large values stay in the store for the next run of their cell."""

_Key = tuple[bytes, int]


class Templates:
    """Registers each function once, and each function with its options once a cell run; any thread."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._lock = threading.RLock()
        """Reentrant: putting a lifted value may find the store full, which releases what was lifted before."""
        self._cell_runs: OrderedDict[CellRunId, dict[_Key, tuple[TemplateId, CallOptions]]] = OrderedDict()
        self._users: dict[bytes, int] = {}
        """How many registered templates use a function; the scheduler forgets it with the last one."""
        self._lifted: OrderedDict[bytes, ObjectId] = OrderedDict()

    def find(
        self, function: PickledFunction, options: CallOptions, cell_run: CellRunId, check: Callable[[CallOptions], int]
    ) -> TemplateId:
        """The template of a call; registers it at first use, when `check` refuses bad options or returns the retries."""
        known = self._cell_runs.get(cell_run)
        if known is not None:
            entry = known.get((function.key, id(options)))
            if entry is not None:
                return entry[0]
        return self._register(function, options, cell_run, check(options))

    def _register(self, function: PickledFunction, options: CallOptions, cell_run: CellRunId, max_retries: int) -> TemplateId:
        template = Template(
            self._link.next_template(), function.key, options.name or function.name, cell_run, options.resources,
            options.num_returns, max_retries, options.timeout or 0.0, _worker_options(options), environment.capture(),
        )  # fmt: skip
        with self._lock:
            if not self._users.get(function.key):
                self._link.post(RegisterFunction(function.key, function.name, function.blob, function.nested))
            self._users[function.key] = self._users.get(function.key, 0) + 1
            self._link.post(RegisterTemplate(template))
            # The options are kept beside the id: while they live, id(options) names no other object.
            self._cell_runs.setdefault(cell_run, {})[function.key, id(options)] = (template.template_id, options)
            self._cell_runs.move_to_end(cell_run)
            self._forget_old_cell_runs()
        return template.template_id

    def _forget_old_cell_runs(self) -> None:
        while len(self._cell_runs) > KEPT_CELL_RUNS:
            _, templates = self._cell_runs.popitem(last=False)
            for key, _ in templates:
                self._users[key] -= 1
                if not self._users[key]:
                    del self._users[key]
            self._link.post(ForgetTemplates([template_id for template_id, _ in templates.values()]))

    def lift(self, content_hash: bytes, put: Callable[[], ObjectId]) -> ObjectId:
        """The object with this content; `put` makes it at the first call, and it stays while it is among the last used."""
        with self._lock:
            object_id = self._lifted.get(content_hash)
            if object_id is None:
                object_id = self._lifted[content_hash] = put()
            self._lifted.move_to_end(content_hash)
            while len(self._lifted) > KEPT_LIFTED:
                self._link.release(self._lifted.popitem(last=False)[1])
        return object_id

    def release_lifted(self) -> None:
        """Give up what is kept for later cells, because the store is full."""
        with self._lock:
            while self._lifted:
                self._link.release(self._lifted.popitem()[1])


def _worker_options(options: CallOptions) -> bytes:
    """What only the worker can decide: which exceptions are tried again; types that live in the notebook go by value."""
    if not options.retry_exceptions:
        return b""
    return serialization.encode(serialization.dumps(options.retry_exceptions))
