"""Calls as coroutines: under way together, cancelled one by one, each in the context of its own task."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nbray.engine import task_context
from nbray.engine.hosted_actor import this_process
from nbray.errors import UsageError
from nbray.scheduler.messages import CancelCalls
from tests.engine.test_actor_calls import host, labs  # noqa: F401 - a fixture

# ruff: noqa: F811


def test_they_are_under_way_together(labs: Any) -> None:
    actor = labs("async", 4)
    actor.start()
    here: list[int] = []

    async def meet(number: int) -> int:
        here.append(number)
        while len(here) < 4:
            await asyncio.sleep(0)
        return number

    host().instance.note = meet
    ids = [actor.call("note", number) for number in range(4)]
    heard = actor.hear_all(*ids)
    assert [heard[each] for each in ids] == [[0], [1], [2], [3]]


def test_no_more_than_may_be(labs: Any) -> None:
    actor = labs("async", 2)
    actor.start()
    here, most = 0, 0

    async def count(number: int) -> None:
        nonlocal here, most
        here += 1
        most = max(most, here)
        await asyncio.sleep(0.001)
        here -= 1

    host().instance.note = count
    ids = [actor.call("note", number) for number in range(10)]
    actor.hear_all(*ids)
    assert most == 2


@pytest.mark.parametrize("begun", [True, False])
def test_cancelling_one(labs: Any, begun: bool) -> None:
    actor = labs("async", 1)
    actor.start()
    first, second = actor.call("sleep"), actor.call("sleep")
    cut, other = (first, second) if begun else (second, first)
    actor.lab.worker._handle(CancelCalls([cut]))
    assert actor.hear_all(cut)[cut] == ["cancelled"]
    actor.lab.worker._handle(CancelCalls([other]))
    assert actor.hear_all(other)[other] == ["cancelled"]
    assert not actor.calls._cancelled


def test_a_cancellation_of_its_own_making_is_its_failure(labs: Any) -> None:
    actor = labs("async")
    actor.start()

    async def give_up(number: int) -> None:
        raise asyncio.CancelledError

    host().instance.note = give_up
    call = actor.call("note", 1)
    assert actor.hear_all(call)[call] == ["exception"]


def test_each_call_is_a_task_of_its_own(labs: Any) -> None:
    actor = labs("async")
    actor.start()

    async def current(number: int) -> int:
        await asyncio.sleep(0)
        context = task_context.current()
        assert context is not None
        return context.task_id

    host().instance.note = current
    ids = [actor.call("note", number) for number in range(8)]
    heard = actor.hear_all(*ids)
    assert [heard[each] for each in ids] == [[each] for each in ids]


def test_results_of_one_round_leave_together(labs: Any) -> None:
    actor = labs("async", 100)
    actor.start()
    opened = asyncio.Event()

    async def wait(number: int) -> int:
        if number == 50:
            opened.set()
        await opened.wait()
        return number

    host().instance.note = wait
    ids = [actor.call("note", number) for number in range(51)]
    reports: list[Any] = []
    while sum(len(report) for report in reports) < len(ids):
        reports.append(actor.hear())
    assert len(reports) < 10


def test_once_created_it_refuses_to_block(labs: Any) -> None:
    actor = labs("async")
    assert not this_process.runs_loop
    actor.start()
    actor.hear_all(actor.call("note", 1))
    assert this_process.runs_loop
    with pytest.raises(UsageError, match=r"would block the event loop of actor Thing.*`await ref`"):
        this_process.refuse_to_block("get", None)
    this_process.refuse_to_block("get", 0)
