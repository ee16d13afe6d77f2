"""Both kinds of concurrent calls: the actor is created first, calls start in order, and one may end it all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from nbray import serialization
from nbray.engine.actor_calls import CallsWait
from nbray.engine.hosted_actor import HostedActor
from nbray.ids import ActorId, CellRunId, TaskId, TemplateId
from nbray.scheduler.messages import (
    ActorSpec,
    Blocked,
    CancelCalls,
    Exit,
    Failure,
    Finished,
    Host,
    Learn,
    Run,
    RunSpec,
    Template,
    Unblocked,
)
from tests.engine.pretended_scheduler import Ends
from tests.engine.worker_lab import Lab

CREATION = TaskId(1000)


class Thing:
    """Its calls meet at a gate."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.opened = threading.Event()

    def note(self, number: int) -> int:
        self.seen.append(number)
        return number

    def wait(self) -> bool:
        return self.opened.wait(10)

    def open(self) -> None:
        self.opened.set()

    def leave(self) -> None:
        host().leave()


class AsyncThing(Thing):
    async def sleep(self) -> None:
        import asyncio

        await asyncio.sleep(60)


def host() -> HostedActor:
    from nbray.engine.hosted_actor import this_process

    assert this_process.actor is not None
    return this_process.actor


class ActorLab:
    """A worker that is told to host an actor and runs it on a thread of its own."""

    def __init__(self, lab: Lab, kind: Literal["threads", "async"], most: int) -> None:
        self.lab = lab
        self._templates: dict[str, TemplateId] = {}
        self._ids = iter(range(2000, 3000))
        cls = Thing if kind == "threads" else AsyncThing
        creation = lab.worker._code.templates[lab.spec(cls).template_id]
        self._learn("__init__", creation.function_key)
        lab.worker._handle(Host(ActorId(CREATION), ActorSpec("Thing", concurrency=kind, max_concurrency=most)))
        lab.worker._handle(Run([RunSpec(CREATION, self._templates["__init__"], 1, b"")]))
        assert lab.worker._calls is not None
        self.calls = lab.worker._calls
        self.thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        self.calls.run(self.lab.worker._run, self.lab.worker._connection)

    def start(self) -> None:
        self.thread.start()
        assert self.hear()[CREATION] == [None]

    def _learn(self, method: str, key: bytes = b"") -> TemplateId:
        number = TemplateId(100 + len(self._templates))
        template = Template(number, key, f"Thing.{method}", CellRunId("cell"), {}, method=method)
        self.lab.worker._handle(Learn([], [template]))
        return self._templates.setdefault(method, number)

    def spec(self, method: str, *args: Any) -> RunSpec:
        template = self._templates.get(method) or self._learn(method)
        encoded = serialization.encode(serialization.dumps((args, {}))) if args else b""
        return RunSpec(TaskId(next(self._ids)), template, 1, encoded)

    def call(self, method: str, *args: Any) -> TaskId:
        spec = self.spec(method, *args)
        self.lab.worker._handle(Run([spec]))
        return spec.task_id

    def hear(self) -> dict[TaskId, list[Any]]:
        """The next report: values, or the kinds of failures."""
        finished = self.lab.scheduler.hear()
        assert isinstance(finished, Finished)
        return {
            result.task_id: [
                value.kind if isinstance(value, Failure) else serialization.loads(value)  # type: ignore[arg-type]
                for value in result.values
            ]
            for result in finished.results
        }

    def hear_all(self, *task_ids: TaskId) -> dict[TaskId, list[Any]]:
        heard: dict[TaskId, list[Any]] = {}
        while not set(task_ids) <= set(heard):
            heard |= self.hear()
        return heard


@pytest.fixture(params=["threads", "async"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def labs(lab: Lab) -> Iterator[Any]:
    made: list[ActorLab] = []

    def make(kind: Literal["threads", "async"], most: int = 4) -> ActorLab:
        made.append(ActorLab(lab, kind, most))
        return made[-1]

    yield make
    for each in made:
        each.calls.stop()
        if each.thread.ident is not None:
            instance = host().instance
            if instance is not None:
                instance.open()
            each.thread.join(5)
            assert not each.thread.is_alive()
        vars(each).clear()


def test_calls_that_came_early_run_behind_the_creation_in_order(labs: Any, kind: Any) -> None:
    actor = labs(kind, 1)
    ids = [actor.call("note", number) for number in range(50)]
    actor.start()
    heard = actor.hear_all(*ids)
    assert [heard[each] for each in ids] == [[number] for number in range(50)]
    assert host().instance.seen == list(range(50))


def test_leaving_ends_the_run(labs: Any, kind: Any) -> None:
    actor = labs(kind)
    actor.start()
    left = actor.call("leave")
    actor.thread.join(5)
    assert not actor.thread.is_alive()
    actor.lab.worker._results.flush()
    assert actor.hear_all(left)[left] == ["actor_died"]


def test_exit_ends_the_run(labs: Any, kind: Any) -> None:
    actor = labs(kind)
    actor.start()
    actor.lab.worker._handle(Exit("not needed"))
    actor.thread.join(5)
    assert not actor.thread.is_alive()


def test_a_call_that_has_not_begun_is_cancelled(labs: Any, kind: Any) -> None:
    actor = labs(kind, 1)
    specs = [actor.spec("note", number) for number in range(3)]
    actor.lab.worker._handle(Run(specs))
    actor.lab.worker._handle(CancelCalls([specs[1].task_id]))
    actor.start()
    heard = actor.hear_all(*[spec.task_id for spec in specs])
    assert [heard[spec.task_id] for spec in specs] in ([[0], ["cancelled"], [2]], [[0], [1], [2]])
    assert (kind == "async") or heard[specs[1].task_id] == ["cancelled"]


@pytest.mark.parametrize("holds", [True, False])
def test_the_first_wait_and_the_last_are_told_where_somebody_gains_by_it(ends: Ends, holds: bool) -> None:
    actor = HostedActor(ActorId(5), ActorSpec("Thing"))
    actor.holds_cpus = holds
    wait = CallsWait(actor, ends.link)
    with wait, wait, wait:
        pass
    with wait:
        pass
    if holds:
        said = [ends.scheduler.hear() for _ in range(4)]
        assert said == [Blocked(ActorId(5)), Unblocked(ActorId(5)), Blocked(ActorId(5)), Unblocked(ActorId(5))]
    assert ends.scheduler.hears_nothing(0.01)
