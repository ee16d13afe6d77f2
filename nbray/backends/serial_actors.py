"""Actors of the serial backend: instances in this process, whose methods run when they are called."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbray.backends.backend import ActorOptions, CallOptions, FoundActor
from nbray.backends.serial_objects import Failed, SerialObjects
from nbray.engine.hosted_actor import HostedActor, this_process
from nbray.errors import ActorDied, UsageError
from nbray.ids import ActorId, CellRunId, ObjectId
from nbray.scheduler.messages import ActorSpec
from nbray.snapshot import ActorSnapshot

if TYPE_CHECKING:
    from nbray.backends.serial_tasks import SerialTasks

PAST_ACTORS = 100
"""Dead actors without handles that can still be listed."""


class _Actor:
    """One actor; `died` says of what, once it is dead."""

    def __init__(self, host: HostedActor, options: ActorOptions, cell_run: CellRunId) -> None:
        self.host = host
        self.options = options
        self.cell_run = cell_run
        self.died: ActorDied | None = None


class SerialActors:
    """All actors of this process. Calls from inside a method run inside it, where a cluster would let them wait."""

    def __init__(self, objects: SerialObjects, tasks: SerialTasks, namespace: str = "") -> None:
        self._objects = objects
        self._tasks = tasks
        self._namespace = namespace
        """Where names are that come without one."""
        self._actors: dict[ActorId, _Actor] = {}
        self._names: dict[tuple[str, str], ActorId] = {}
        self._past: deque[ActorId] = deque()
        """Dead ones without a handle."""

    def create(
        self, cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions, actor: ActorOptions,
        cell_run: CellRunId,
    ) -> FoundActor:  # fmt: skip
        """See `Backend.create_actor`."""
        known = self.find(actor.name, actor.namespace) if actor.name else None
        if known is not None and actor.get_if_exists:
            return known
        if known is not None:
            self._objects.release([known.actor_id])
            raise UsageError(
                f"name={actor.name!r} is taken by another actor: get that by nbray.get_actor({actor.name!r}) or with "
                "get_if_exists=True, end it by nbray.kill(...), or choose another name"
            )
        pickled = self._tasks.pickle(cls)
        actor_id = self._objects.new_id()
        namespace = actor.namespace or self._namespace
        spec = ActorSpec(actor.class_name, actor.name, namespace, actor.detached, description=actor.description)
        made = self._actors[actor_id] = _Actor(HostedActor(actor_id, spec), actor, cell_run)
        self._objects.hold(actor_id)
        self._objects.when_gone[actor_id] = lambda: self._let_go(actor_id)
        if actor.detached:
            self._objects.hold(actor_id)
        if actor.name:
            self._names[namespace, actor.name] = actor_id
        with self._hosting(made):
            returns = self._tasks.run(
                f"{actor.class_name}.__init__", lambda: made.host.construction(self._tasks.load(pickled)), args, kwargs, options,
                cell_run, "ACTOR_CREATION_TASK", actor_id,
            )  # fmt: skip
        failed = self._objects.error(returns)
        self._objects.release(returns)
        if failed is not None:
            self._end(actor_id, f"its __init__ raised {type(failed.error).__name__}: {failed.error}", failed.error)
        return FoundActor(actor_id, actor.description)

    def call(
        self, actor_id: ActorId, method: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any],
        options: CallOptions, cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        """See `Backend.call`; the method has ended when this returns."""
        actor = self._actors.get(actor_id)
        if actor is None or actor.died is not None:
            return self._tasks.fail(name, options, Failed(self._death(actor_id)), cell_run)
        with self._hosting(actor):
            returns = self._tasks.run(
                name, lambda: actor.host.method(method), args, kwargs, options, cell_run, "ACTOR_TASK", actor_id
            )  # fmt: skip
        if actor.host.leaving:
            self._end(actor_id, "it has ended by its own wish (exit_actor)", gracefully=True)
        return returns

    @contextlib.contextmanager
    def _hosting(self, actor: _Actor) -> Iterator[None]:
        """This process is the actor's meanwhile, and its last handle may go."""
        outer, this_process.actor = this_process.actor, actor.host
        self._objects.hold(actor.host.actor_id)
        try:
            yield
        finally:
            this_process.actor = outer
            self._objects.release([actor.host.actor_id])

    def _death(self, actor_id: ActorId) -> ActorDied:
        actor = self._actors.get(actor_id)
        return actor.died if actor is not None and actor.died is not None else ActorDied("the actor is gone")

    def kill(self, actor_id: ActorId, *, after_calls: bool) -> None:
        """See `Backend.kill_actor`."""
        self._end(actor_id, "it was ended after its calls" if after_calls else "it was killed", gracefully=after_calls)

    def _end(self, actor_id: ActorId, why: str, cause: BaseException | None = None, *, gracefully: bool = False) -> None:
        actor = self._actors.get(actor_id)
        if actor is None or actor.died is not None:
            return
        actor.died = ActorDied(f"actor {actor.options.class_name} is dead: {why}")
        actor.died.__cause__ = cause
        self._names.pop((actor.host.actor.namespace, actor.options.name), None)
        if gracefully:
            actor.host.close()
        actor.host.instance = None

    def _let_go(self, actor_id: ActorId) -> None:
        """Nobody has a handle of it any more: it ends, and can still be listed for a while."""
        self._end(actor_id, "nobody has a handle of it any more", gracefully=True)
        self._past.append(actor_id)
        if len(self._past) > PAST_ACTORS:
            self._actors.pop(self._past.popleft(), None)

    def find(self, name: str, namespace: str) -> FoundActor | None:
        """See `Backend.find_actor`."""
        actor_id = self._names.get((namespace or self._namespace, name))
        if actor_id is None:
            return None
        self._objects.hold(actor_id)
        return FoundActor(actor_id, self._actors[actor_id].options.description)

    def state(self, actor_id: ActorId) -> str:
        """See `Backend.actor_state`."""
        actor = self._actors.get(actor_id)
        return "dead" if actor is None or actor.died is not None else "alive"

    def pictures(self) -> list[ActorSnapshot]:
        """What people see of them, the dead ones included."""
        return [
            ActorSnapshot(
                actor_id, actor.options.class_name, "ALIVE" if actor.died is None else "DEAD", name=actor.options.name,
                namespace=actor.host.actor.namespace, cell_run=actor.cell_run, pid=os.getpid(), slot=0,
                detached=actor.options.detached, death="" if actor.died is None else str(actor.died),
            )
            for actor_id, actor in self._actors.items()
        ]  # fmt: skip

    def close(self) -> None:
        """The backend ends: so do all actors, gracefully."""
        for actor_id in list(self._actors):
            self._end(actor_id, "the cluster was shut down", gracefully=True)
