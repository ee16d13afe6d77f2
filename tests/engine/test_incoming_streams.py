"""What a process does with the items of its streams, and what it says of them."""

from __future__ import annotations

from typing import Any

import pytest

from nbray.engine.incoming_streams import SAID_EVERY, next_of
from nbray.errors import ClusterDied
from nbray.ids import ObjectId, TaskId
from nbray.scheduler.messages import NO_LIMIT, Cancel, Consumed, Ready, Released, Stored, Streamed, Submit, TaskSpec
from tests.engine.pretended_scheduler import TEMPLATE, Ends


class Flow:
    """One stream that was submitted."""

    def __init__(self, ends: Ends, window: int = 0) -> None:
        self.link, self.scheduler = ends.link, ends.scheduler
        self.stream: TaskId = self.link.next_object()
        self.link.streams.open(self.stream, window)
        self.link.submit(TaskSpec(self.stream, TEMPLATE, b""), [self.stream])
        assert isinstance(self.scheduler.hear(), Submit)
        self._made = 1000

    def say(self, *values: Any) -> list[ObjectId]:
        """Items come."""
        items = [(ObjectId(self._made + place), value) for place, value in enumerate(values)]
        self._made += len(items)
        self.scheduler.say(Streamed(self.stream, items))
        return [object_id for object_id, _ in items]

    def end(self) -> None:
        self.scheduler.say(Ready([(self.stream, b"none")]))

    def wait(self, timeout: float = 5.0) -> bool:
        return self.link.wait([next_of(self.stream)], 1, timeout)

    def take(self) -> ObjectId | None:
        return self.link.streams.take(self.stream)


def test_items_are_taken_in_order_and_their_values_are_known(ends: Ends) -> None:
    flow = Flow(ends)
    first, second = flow.say(b"a", b"b")
    assert flow.wait()
    assert flow.take() == first
    assert flow.link.value(first) == b"a"
    assert flow.wait(0), "there is one more"
    assert flow.take() == second
    assert flow.take() is None
    assert not flow.wait(0)


def test_the_end_wakes_who_waits_for_an_item(ends: Ends) -> None:
    flow = Flow(ends)
    with ends.meanwhile(flow.wait) as outcome:
        flow.end()
    assert outcome.get() is True
    assert flow.take() is None
    assert flow.wait(0), "for good"


def test_an_item_wakes_who_waits(ends: Ends) -> None:
    flow = Flow(ends)
    for _ in range(3):
        with ends.meanwhile(flow.wait) as outcome:
            (item,) = flow.say(b"a")
        assert outcome.get() is True
        assert flow.take() == item
        assert flow.take() is None
        assert isinstance(flow.scheduler.hear(), Consumed)


def test_callbacks_hear_of_items_and_of_the_end(ends: Ends) -> None:
    flow, called = Flow(ends), []
    flow.link.call_when_ready(next_of(flow.stream), lambda: called.append("item"))
    flow.say(b"a")
    assert flow.wait()
    flow.take()
    flow.link.call_when_ready(next_of(flow.stream), lambda: called.append("end"))
    flow.end()
    assert flow.wait()
    assert called == ["item", "end"]


def test_the_worker_hears_now_and_then_and_when_there_is_nothing_left(ends: Ends) -> None:
    flow = Flow(ends)
    flow.say(*[b"x"] * (SAID_EVERY + 10))
    assert flow.wait()
    for _ in range(SAID_EVERY + 10):
        flow.take()
    assert flow.scheduler.hear() == Consumed(flow.stream, SAID_EVERY)
    assert flow.take() is None
    assert flow.scheduler.hear() == Consumed(flow.stream, SAID_EVERY + 10)
    assert flow.take() is None
    assert flow.scheduler.hears_nothing(0.02)


@pytest.mark.parametrize(("window", "values"), [(1, [b"a", b"b"]), (0, [Stored(0, 1 << 20), Stored(1 << 20, 1 << 20)])])
def test_small_windows_and_large_items_are_said_at_once(ends: Ends, window: int, values: Any) -> None:
    flow = Flow(ends, window)
    flow.say(*values)
    assert flow.wait()
    flow.take()
    assert flow.scheduler.hear() == Consumed(flow.stream, 1)


def test_who_runs_freely_is_told(ends: Ends) -> None:
    flow = Flow(ends)
    flow.link.streams.run_freely(flow.stream)
    assert flow.scheduler.hear() == Consumed(flow.stream, NO_LIMIT)


def test_closing_stops_the_task_and_lets_the_items_go(ends: Ends) -> None:
    flow = Flow(ends)
    kept, *left = flow.say(b"a", b"b", b"c")
    assert flow.wait()
    flow.take()
    flow.link.streams.close(flow.stream, cancel=True)
    assert flow.scheduler.hear() == Cancel(0, task_ids=[flow.stream])
    released = set(flow.scheduler.hear().object_ids)
    assert released == {flow.stream, *left}
    (late,) = flow.say(b"d")
    assert flow.scheduler.hear() == Released([late])
    assert not flow.link._values._callbacks
    assert flow.link.value(kept) == b"a"
    assert flow.link.value(late) is None


def test_closing_one_that_has_ended_cancels_nothing(ends: Ends) -> None:
    flow = Flow(ends)
    flow.end()
    assert flow.wait()
    flow.link.streams.close(flow.stream, cancel=True)
    assert flow.scheduler.hear() == Released([flow.stream])


def test_who_waits_learns_that_the_cluster_is_gone(ends: Ends) -> None:
    flow = Flow(ends)
    with ends.meanwhile(flow.wait) as outcome:
        ends.scheduler.socket.close()
    assert isinstance(outcome.get(), ClusterDied)
    with pytest.raises(ClusterDied):
        flow.wait(0)
