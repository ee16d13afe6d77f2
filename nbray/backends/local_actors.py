"""Actors of the local backend: how they are created, called, found and ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from nbray import serialization
from nbray.backends.backend import ActorOptions, CallOptions, FoundActor
from nbray.backends.templates import Templates
from nbray.engine.connection import Connection
from nbray.engine.incoming_streams import returns_of
from nbray.errors import UsageError
from nbray.functions import PickledFunction
from nbray.ids import ActorId, CellRunId, ObjectId, TaskId, TemplateId
from nbray.scheduler.messages import INLINE_LIMIT, ActorSpec, Answer, Ask, CreateActor, Failure, KillActor, TaskSpec

NO_ARGUMENTS = b""
NO_TEMPLATE = TemplateId(0)


class FillArguments(Protocol):
    """Puts the arguments of a call into its spec."""

    def __call__(
        self, task: TaskSpec, args: tuple[Any, ...], kwargs: Mapping[str, Any], function_name: str, /
    ) -> TaskSpec: ...


class LocalActors:
    """What `LocalBackend` does about actors; any thread."""

    def __init__(
        self, link: Connection, templates: Templates, fill: FillArguments, check: Callable[[CallOptions], int],
    ) -> None:  # fmt: skip
        self._link = link
        self._templates = templates
        self._fill = fill
        self._check = check

    # ---------------------------------------------------------------- creation

    def create(
        self, cls: Callable[[], PickledFunction], args: tuple[Any, ...], kwargs: Mapping[str, Any], options: CallOptions,
        actor: ActorOptions, cell_run: CellRunId,
    ) -> FoundActor:  # fmt: skip
        """See `Backend.create_actor`; `cls` pickles the class."""
        actor_id = self._link.next_object()
        task = self._with_arguments(actor_id, args, kwargs, actor.class_name)
        try:
            with self._templates.lock:
                task.template_id = self._templates.find(cls(), options, cell_run, self._check, method="__init__")
                self._link.create_actor(CreateActor(task, _spec(actor)))
        finally:
            self._let_go(task)
        return self._named(actor_id, actor) if actor.name else FoundActor(actor_id, actor.description)

    def _named(self, made: ActorId, actor: ActorOptions) -> FoundActor:
        """The scheduler creates only one actor of a name: if another has it by now, what was made here never lived."""
        found = self.find(actor.name, actor.namespace)
        if found is None or found.actor_id == made:  # None: it has died of its `__init__` already
            if found is not None:
                self._link.release(made)  # `find` has held it once more
            return FoundActor(made, actor.description)
        self._link.release(made)
        if actor.get_if_exists:
            return found
        self._link.release(found.actor_id)
        raise UsageError(
            f"name={actor.name!r} is taken by another actor: get that by nbray.get_actor({actor.name!r}) or with "
            "get_if_exists=True, end it by nbray.kill(...), or choose another name"
        )

    # ---------------------------------------------------------------- calls

    def call(
        self, actor_id: ActorId, method: str, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any],
        options: CallOptions, cell_run: CellRunId,
    ) -> list[ObjectId]:  # fmt: skip
        """See `Backend.call`."""
        link, count = self._link, options.num_returns
        task_id = link.next_object(count if count > 0 else 1)
        returns = given = [task_id]
        if count != 1:
            returns, given = returns_of(task_id, count)
        task = self._with_arguments(task_id, args, kwargs, name)
        try:
            with self._templates.lock:
                task.template_id = self._templates.find_method(method, name, options, cell_run)
                if given is not returns:
                    link.streams.open(task_id, options.window)
                link.call(actor_id, task, returns)
        except BaseException:
            if given is not returns:
                link.streams.close(task_id, cancel=False)
            raise
        finally:
            self._let_go(task)
        return given

    def _with_arguments(self, task_id: TaskId, args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str) -> TaskSpec:
        frame = NO_ARGUMENTS if not args else serialization.dumps_plain_arguments(args)
        if kwargs or frame is None or len(frame) > INLINE_LIMIT:
            return self._fill(TaskSpec(task_id, NO_TEMPLATE, NO_ARGUMENTS), args, kwargs, name)
        return TaskSpec(task_id, NO_TEMPLATE, frame)

    def _let_go(self, task: TaskSpec) -> None:
        if task.payload:  # the task holds it from here on
            self._link.release(task.payload)

    # ---------------------------------------------------------------- the rest

    def kill(self, actor_id: ActorId, *, no_restart: bool, after_calls: bool) -> None:
        """See `Backend.kill_actor`."""
        self._link.post(KillActor(actor_id, no_restart, after_calls), now=True)

    def find(self, name: str, namespace: str) -> FoundActor | None:
        """See `Backend.find_actor`."""
        answer = self._ask("actor", text=f"{namespace}\n{name}")
        if not answer.get("actor_id"):
            return None
        found = FoundActor(ActorId(answer["actor_id"]), answer["description"])
        self._link.references.hold(found.actor_id)
        return found

    def state(self, actor_id: ActorId) -> str:
        """See `Backend.actor_state`."""
        if self._link.io.on_this_thread():  # the answer would come to this very thread
            value = self._link.value(actor_id)
            return "pending" if value is None else "dead" if isinstance(value, Failure) else "alive"
        return str(self._ask("actor_state", actor_id)["state"]).lower()

    def _ask(self, question: str, argument: int = 0, text: str = "") -> dict[str, Any]:
        answer = self._link.request(lambda request: Ask(request, question, argument, text))
        assert isinstance(answer, Answer)
        return msgspec.msgpack.decode(answer.body, type=dict[str, Any])


def _spec(actor: ActorOptions) -> ActorSpec:
    return ActorSpec(
        actor.class_name, actor.name, actor.namespace, actor.detached, actor.max_restarts, actor.max_task_retries,
        actor.concurrency, actor.max_concurrency, actor.description,
    )  # fmt: skip
