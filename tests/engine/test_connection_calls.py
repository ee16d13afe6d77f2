"""Calls of actors on their way to the scheduler: together, in order, and behind what they need."""

from __future__ import annotations

from typing import Any

import pytest

from nbray.ids import ActorId, ObjectId
from nbray.scheduler.messages import ActorSpec, Call, CreateActor, GiveBack, Released, Submit, TaskSpec
from tests.engine.pretended_scheduler import TEMPLATE, Ends

ONE, OTHER = ActorId(501), ActorId(502)


class Caller:
    """Hands over calls while the line is busy, so that they wait for a flush."""

    def __init__(self, ends: Ends) -> None:
        self.ends = ends
        ends.submit()
        ends.scheduler.hear()
        ends.link.sender._batch_seconds = 60.0

    def call(self, actor_id: ActorId, deps: list[ObjectId] | None = None) -> ObjectId:
        task_id = self.ends.link.next_object()
        self.ends.link.call(actor_id, TaskSpec(task_id, TEMPLATE, b"", deps or []), [task_id])
        return task_id

    def hear(self, count: int) -> list[Any]:
        """The next messages: actor and calls, or the ids of tasks."""
        self.ends.link.flush()
        heard = [self.ends.scheduler.hear() for _ in range(count)]
        return [
            (each.actor_id, [task.task_id for task in each.tasks]) if isinstance(each, Call)
            else [task.task_id for task in each.tasks] if isinstance(each, Submit) else each
            for each in heard
        ]  # fmt: skip


@pytest.fixture
def caller(ends: Ends) -> Caller:
    return Caller(ends)


def test_calls_of_one_actor_travel_together(caller: Caller) -> None:
    ids = [caller.call(ONE) for _ in range(5)]
    assert caller.hear(1) == [(ONE, ids)]


def test_calls_of_several_actors_travel_in_one_message_each(caller: Caller) -> None:
    ids = [caller.call(actor) for _ in range(3) for actor in (ONE, OTHER)]
    assert caller.hear(2) == [(ONE, ids[::2]), (OTHER, ids[1::2])]


def test_a_call_stays_behind_what_it_needs(caller: Caller) -> None:
    first = caller.call(ONE)
    needed = caller.call(OTHER)
    last = caller.call(ONE, [needed])
    after = caller.call(ONE)
    assert caller.hear(3) == [(ONE, [first]), (OTHER, [needed]), (ONE, [last, after])]


def test_tasks_and_calls_stay_behind_what_they_need(caller: Caller) -> None:
    call = caller.call(ONE)
    (task,) = caller.ends.submit()
    behind = caller.call(ONE, [task])
    (second,) = caller.ends.submit()
    assert caller.hear(4) == [(ONE, [call]), [task], (ONE, [behind]), [second]]


def test_no_call_overtakes_a_message(caller: Caller) -> None:
    first = caller.call(ONE)
    caller.ends.link.post(GiveBack(1))
    second = caller.call(ONE)
    assert caller.hear(3) == [(ONE, [first]), GiveBack(1), (ONE, [second])]


def test_the_first_call_leaves_at_once(ends: Ends) -> None:
    task_id = ends.link.next_object()
    ends.link.call(ONE, TaskSpec(task_id, TEMPLATE, b""), [task_id])
    assert [task.task_id for task in ends.scheduler.hear().tasks] == [task_id]


def test_a_created_actor_is_a_reference(ends: Ends) -> None:
    actor_id = ends.link.next_object()
    message = CreateActor(TaskSpec(actor_id, TEMPLATE, b""), ActorSpec("Thing"))
    ends.link.create_actor(message)
    assert ends.scheduler.hear() == message
    ends.link.release(actor_id)
    ends.link.flush()
    assert ends.scheduler.hear() == Released([actor_id])
