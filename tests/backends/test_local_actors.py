"""What the local backend says to the scheduler about actors, and what it makes of the answers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from nbray.backends.backend import ActorOptions, CallOptions, FoundActor
from nbray.backends.local_actors import LocalActors
from nbray.backends.templates import Templates
from nbray.engine.connection import Connection
from nbray.engine.references import References
from nbray.errors import UsageError
from nbray.functions import PickledFunction
from nbray.ids import ActorId, CellRunId, ObjectId, TemplateId
from nbray.scheduler.messages import Answer, CreateActor, Failure, KillActor, RegisterTemplate, TaskSpec

CELL = CellRunId("cell")
PICKLED = PickledFunction(b"key", "Thing", b"blob", [])


class PretendedConnection:
    """Keeps what is said; `names` is what the scheduler knows."""

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.calls: list[tuple[ActorId, TaskSpec, list[ObjectId]]] = []
        self.released: list[ObjectId] = []
        self.references = References()
        self.names: dict[str, tuple[ActorId, bytes]] = {}
        self.asked: list[Any] = []
        self._ids = itertools.count(1)
        self.here = False
        self.io = SimpleNamespace(on_this_thread=lambda: self.here)
        self.values: dict[ObjectId, Any] = {}

    def value(self, object_id: ObjectId) -> Any:
        return self.values.get(object_id)

    def next_template(self) -> TemplateId:
        return TemplateId(next(self._ids))

    def next_object(self, count: int = 1) -> ObjectId:
        return ObjectId(100 * next(self._ids))

    def post(self, message: msgspec.Struct, *, now: bool = False) -> None:
        self.posted.append(message)

    def create_actor(self, message: CreateActor) -> None:
        self.posted.append(message)
        actor = message.actor
        self.names.setdefault(f"{actor.namespace}\n{actor.name}", (message.task.task_id, actor.description))

    def call(self, actor_id: ActorId, task: TaskSpec, returns: list[ObjectId]) -> None:
        self.calls.append((actor_id, task, returns))

    def release(self, object_id: ObjectId) -> None:
        self.released.append(object_id)

    def request(self, make: Any) -> Answer:
        question = make(1)
        self.asked.append(question)
        if question.question == "actor_state":
            return Answer(1, msgspec.msgpack.encode({"state": "RESTARTING"}))
        actor_id, description = self.names.get(question.text, (0, b""))
        return Answer(1, msgspec.msgpack.encode({"actor_id": actor_id, "description": description}))


class Forgetful(dict[str, Any]):
    """The names of a scheduler whose actors die at once."""

    def setdefault(self, name: str, default: Any = None) -> Any:
        return default


class World:
    def __init__(self) -> None:
        self.link = PretendedConnection()
        link = cast(Connection, self.link)
        self.filled: list[tuple[Any, Any, str]] = []
        self.actors = LocalActors(link, Templates(link, 1000, lambda _: b""), self._fill, lambda options: 0)

    def _fill(self, task: TaskSpec, args: tuple[Any, ...], kwargs: Mapping[str, Any], name: str) -> TaskSpec:
        self.filled.append((args, kwargs, name))
        task.payload = ObjectId(7)
        return task

    def create(self, **options: Any) -> FoundActor:
        actor = ActorOptions(class_name="Thing", description=b"description", **options)
        return self.actors.create(lambda: PICKLED, (), {}, CallOptions(), actor, CELL)


@pytest.fixture
def world() -> World:
    return World()


def test_creating(world: World) -> None:
    found = world.create(max_restarts=2, concurrency="threads", max_concurrency=3)
    *_, template, message = world.link.posted
    assert isinstance(template, RegisterTemplate)
    assert (template.template.method, template.template.function_key) == ("__init__", b"key")
    assert message.task.task_id == found.actor_id
    assert message.task.template_id == template.template.template_id
    assert (message.actor.class_name, message.actor.max_restarts) == ("Thing", 2)
    assert (message.actor.concurrency, message.actor.max_concurrency, message.actor.description) == ("threads", 3, b"description")
    assert world.link.asked == []


def test_a_free_name_is_the_new_actors(world: World) -> None:
    found = world.create(name="one", namespace="space")
    assert world.link.asked[0].text == "space\none"
    assert found.actor_id == world.link.names["space\none"][0]
    assert world.link.released == [found.actor_id]  # what `find` has held


def test_a_taken_name(world: World) -> None:
    first = world.create(name="one")
    with pytest.raises(UsageError, match=r"name='one' is taken by another actor: get that by nbray\.get_actor\('one'\)"):
        world.create(name="one")
    assert len(world.link.released) == 3  # its own, and both that it had of the other
    again = world.create(name="one", get_if_exists=True)
    assert again == FoundActor(first.actor_id, b"description")


def test_a_name_whose_actor_died_at_once_is_told_by_its_calls(world: World) -> None:
    world.link.names = Forgetful()
    assert world.create(name="one").description == b"description"


def test_calls_of_a_method_share_a_template(world: World) -> None:
    options, other = CallOptions(resources={}), CallOptions(num_returns=2, max_retries=3)
    for each in (options, options, other):
        returns = world.actors.call(ActorId(5), "add", "Thing.add", (1,), {}, each, CELL)
    assert len(returns) == 2
    templates = [message.template for message in world.link.posted]
    assert [(each.method, each.function_key, each.name) for each in templates] == [("add", b"", "Thing.add")] * 2
    assert (templates[1].num_returns, templates[1].max_retries, templates[1].resources) == (2, 3, {})
    used = [task.template_id for _, task, _ in world.link.calls]
    assert used == [templates[0].template_id] * 2 + [templates[1].template_id]
    assert [actor_id for actor_id, _, _ in world.link.calls] == [ActorId(5)] * 3


def test_arguments_that_are_no_plain_values_are_filled_in(world: World) -> None:
    world.actors.call(ActorId(5), "add", "Thing.add", ([1],), {"by": 2}, CallOptions(), CELL)
    assert world.filled == [(([1],), {"by": 2}, "Thing.add")]
    assert world.link.released == [ObjectId(7)]  # the call holds its payload from here on


def test_killing_finding_and_states(world: World) -> None:
    world.actors.kill(ActorId(5), no_restart=False, after_calls=True)
    assert world.link.posted == [KillActor(ActorId(5), no_restart=False, after_calls=True)]
    assert world.actors.find("nobody", "") is None
    assert world.actors.state(ActorId(5)) == "restarting"
    assert (world.link.asked[-1].question, world.link.asked[-1].argument) == ("actor_state", 5)


def test_the_thread_that_receives_asks_nobody(world: World) -> None:
    world.link.here = True
    world.link.values = {ObjectId(6): b"", ObjectId(7): Failure("actor_died", "dead")}
    assert [world.actors.state(ActorId(number)) for number in (5, 6, 7)] == ["pending", "alive", "dead"]
    assert world.link.asked == []
