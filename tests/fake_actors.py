"""A backend without processes that has actors: their methods run at once, in this process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nbray import exceptions_shipping
from nbray.backends.backend import ActorOptions, CallOptions, FoundActor
from nbray.errors import UsageError
from nbray.ids import ActorId, CellRunId, ObjectId, Reference
from nbray.scheduler.messages import Failure
from nbray.serialization import dumps
from tests.fakes import FakeBackend, fresh_session


class Called(NamedTuple):
    """One call as the backend was asked for it."""

    method: str
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    options: CallOptions
    cell_run: CellRunId


class FakeActors(FakeBackend):
    """Notes what it was asked for, and does it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.created: list[tuple[ActorOptions, CallOptions]] = []
        self.called: list[Called] = []
        self.killed: list[tuple[ActorId, bool, bool]] = []
        self.actors: dict[ActorId, tuple[Any, ActorOptions]] = {}

    def create_actor(
        self, cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions, actor: ActorOptions,
        cell_run: CellRunId,
    ) -> FoundActor:  # fmt: skip
        found = self.find_actor(actor.name, actor.namespace) if actor.name else None
        if found is not None and actor.get_if_exists:
            return found
        if found is not None:
            raise UsageError(f"name={actor.name!r} is taken by another actor")
        self.created.append((actor, options))
        actor_id = self._store(dumps(None))
        self.actors[actor_id] = (cls(*args, **kwargs), actor)
        return FoundActor(actor_id, actor.description)

    def call(
        self, actor_id: ActorId, method: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any],
        options: CallOptions, cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        self.called.append(Called(method, name, args, dict(kwargs), options, cell_run))
        args = tuple(self.get([each.id])[0] if isinstance(each, Reference) else each for each in args)
        count = options.num_returns
        ids = [self._new_id() for _ in range(max(1, count))]
        for each in ids:
            self.hold(each)
        try:
            result = self._run_method(actor_id, method, args, kwargs)
        except Exception as error:  # noqa: BLE001 - the call's own failure is its outcome
            pickled, type_name, message, traceback, _ = exceptions_shipping.dump_exception(error)
            values: list[Any] = [Failure("exception", message, type_name, pickled, traceback, name, "here")] * len(ids)
        else:
            values = [dumps(part) for part in ([result] if count < 2 else result)]
        for each, value in zip(ids, values, strict=True):
            self._keep(each, value)
        return ids[:count]

    def _run_method(self, actor_id: ActorId, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if method == "__ray_ready__":
            return True
        return getattr(self.actors[actor_id][0], method)(*args, **kwargs)

    def kill_actor(self, actor_id: ActorId, *, no_restart: bool = True, after_calls: bool = False) -> None:
        self.killed.append((actor_id, no_restart, after_calls))
        self.actors.pop(actor_id, None)

    def find_actor(self, name: str, namespace: str = "") -> FoundActor | None:
        for actor_id, (_, actor) in self.actors.items():
            if (actor.name, actor.namespace) == (name, namespace):
                self.hold(actor_id)
                return FoundActor(actor_id, actor.description)
        return None

    def actor_state(self, actor_id: ActorId) -> str:
        return "alive" if actor_id in self.actors else "dead"


@contextlib.contextmanager
def fake_actor_session(**settings: Any) -> Iterator[FakeActors]:
    """A fresh session on such a backend."""
    with fresh_session() as current:
        current.backend = backend = FakeActors(**settings)
        yield backend
