"""Calls of an actor are counted from when they are made until they have ended, by process."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from nbray.backends.backend import Backend
from nbray.errors import ClusterError
from nbray.ids import ActorId, ObjectId
from nbray.pending_calls import PendingCalls

ACTOR, OTHER = ActorId(1), ActorId(2)


class Ends:
    """Of a backend, what tells that a call has ended."""

    epoch = "one"

    def __init__(self) -> None:
        self.held: list[ObjectId] = []
        self.callbacks: list[Callable[[], None]] = []

    def hold(self, object_id: ObjectId) -> None:
        self.held.append(object_id)

    def release(self, object_id: ObjectId) -> None:
        self.held.remove(object_id)

    def on_ready(self, object_id: ObjectId, callback: Callable[[], None]) -> None:
        self.callbacks.append(callback)


@pytest.fixture
def ends() -> Ends:
    return Ends()


@pytest.fixture
def pending() -> PendingCalls:
    return PendingCalls()


def call(pending: PendingCalls, ends: Ends, actor_id: ActorId = ACTOR, returns: int = 1) -> list[ObjectId]:
    ids = [ObjectId(10 + len(ends.callbacks) + place) for place in range(returns)]
    return pending.call(cast("Backend", ends), actor_id, 2, "Counter.add", lambda: ids)


def test_beyond_the_limit_it_raises_until_one_has_ended(pending: PendingCalls, ends: Ends) -> None:
    assert [call(pending, ends), call(pending, ends)] == [[10], [11]]
    assert ends.held == [10, 11], "the end of a call whose ref is dropped would not be heard of"
    with pytest.raises(ClusterError, match=r"Counter\.add was not called: 2 calls .* max_pending_calls=2 allows no more"):
        call(pending, ends)
    ends.callbacks[0]()
    assert ends.held == [11]
    call(pending, ends)
    with pytest.raises(ClusterError):
        call(pending, ends)


def test_actors_and_clusters_are_counted_apart(pending: PendingCalls, ends: Ends) -> None:
    call(pending, ends), call(pending, ends)
    call(pending, ends, OTHER)
    fresh = Ends()
    fresh.epoch = "two"
    call(pending, fresh)


def test_one_that_could_not_be_made_does_not_count(pending: PendingCalls, ends: Ends) -> None:
    def fail() -> list[ObjectId]:
        raise ValueError("it cannot be sent")

    for _ in range(3):
        with pytest.raises(ValueError, match="cannot be sent"):
            pending.call(cast("Backend", ends), ACTOR, 2, "Counter.add", fail)
    call(pending, ends), call(pending, ends)


def test_one_of_whose_end_nobody_hears_does_not_count(pending: PendingCalls, ends: Ends) -> None:
    for _ in range(5):
        assert call(pending, ends, returns=0) == []


def test_one_may_end_while_it_is_made(pending: PendingCalls, ends: Ends) -> None:
    ends.on_ready = lambda object_id, callback: callback()  # type: ignore[method-assign]
    for _ in range(5):
        call(pending, ends, returns=2)
    assert ends.held == []
