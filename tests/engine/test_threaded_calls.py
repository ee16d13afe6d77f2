"""Calls on threads: as many as may be, each in the context of its own task."""

from __future__ import annotations

from typing import Any

from nbray.engine import task_context
from tests.engine.test_actor_calls import host, labs  # noqa: F401 - a fixture

# ruff: noqa: F811


def test_a_call_waits_for_another(labs: Any) -> None:
    actor = labs("threads", 2)
    actor.start()
    waits, opens = actor.call("wait"), actor.call("open")
    assert actor.hear_all(waits, opens) == {waits: [True], opens: [None]}


def test_no_more_threads_than_it_may_have(labs: Any) -> None:
    actor = labs("threads", 3)
    actor.start()
    ids = [actor.call("note", number) for number in range(100)]
    actor.hear_all(*ids)
    assert 1 <= actor.calls._threads <= 3


def test_a_running_call_goes_on_when_it_is_cancelled(labs: Any) -> None:
    actor = labs("threads", 2)
    actor.start()
    waits = actor.call("wait")
    actor.calls.cancel({waits})
    opens = actor.call("open")
    heard = actor.hear_all(waits, opens)
    assert heard[waits] in ([True], ["cancelled"])
    assert not actor.calls._cancelled


def test_each_call_is_a_task_of_its_own(labs: Any) -> None:
    actor = labs("threads", 2)
    actor.start()

    def current() -> int:
        context = task_context.current()
        assert context is not None
        return context.task_id

    host().instance.note = lambda number: current()
    ids = [actor.call("note", number) for number in range(8)]
    heard = actor.hear_all(*ids)
    assert [heard[each] for each in ids] == [[each] for each in ids]
