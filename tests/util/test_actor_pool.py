"""A set of actors that share out calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nbray
from nbray.errors import UsageError, WrongType
from nbray.util import ActorPool
from tests.fakes import fresh_session

pytestmark = pytest.mark.local


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    with fresh_session():
        nbray.init(num_workers=2)
        yield


@nbray.remote
class Worker:
    def double(self, x: int) -> int:
        return 2 * x

    def sleep(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    def fail(self, x: int) -> float:
        return x / 0


@pytest.fixture
def pool() -> ActorPool:
    workers: Any = Worker
    return ActorPool([workers.remote(), workers.remote()])


def call(name: str) -> Callable[[Any, Any], Any]:
    return lambda actor, value: getattr(actor, name).remote(value)


def test_maps(pool: ActorPool) -> None:
    assert list(pool.map(call("double"), range(20))) == [2 * n for n in range(20)]
    assert sorted(pool.map_unordered(call("double"), range(20))) == [2 * n for n in range(20)]
    assert list(pool.map(call("double"), [])) == []


def test_a_slow_call_holds_up_its_own_result_only(pool: ActorPool) -> None:
    assert next(pool.map_unordered(call("sleep"), [1.0, 0.01, 0.02])) == 0.01
    results = pool.map(call("sleep"), [1.0, 0.0, 0.0, 0.0])
    assert next(results) == 1.0
    began = time.monotonic()
    assert list(results) == [0.0, 0.0, 0.0]
    assert time.monotonic() - began < 0.9, "the other actor has gone on meanwhile"


def test_results_of_an_earlier_map_are_dropped(pool: ActorPool) -> None:
    pool.map(call("double"), range(5))
    assert list(pool.map(call("double"), [10])) == [20]


def test_one_by_one(pool: ActorPool) -> None:
    assert not pool.has_next()
    with pytest.raises(StopIteration):
        pool.get_next()
    for value in (1, 2, 3):
        pool.submit(call("double"), value)
    assert not pool.has_free()
    assert pool.get_next() == 2
    assert {pool.get_next_unordered(), pool.get_next(timeout=5)} == {4, 6}
    assert (pool.has_next(), pool.has_free()) == (False, True)


def test_an_exception_comes_in_its_place_and_frees_the_actor(pool: ActorPool) -> None:
    pool.submit(call("fail"), 1)
    pool.submit(call("double"), 1)
    with pytest.raises(ZeroDivisionError):
        pool.get_next()
    assert pool.get_next() == 2
    assert pool.pop_idle() is not None


def test_what_takes_too_long(pool: ActorPool) -> None:
    pool.submit(call("sleep"), 0.5)
    with pytest.raises(TimeoutError, match=r"no result came within 0\.05 s"):
        pool.get_next(timeout=0.05)
    with pytest.raises(TimeoutError):
        pool.get_next_unordered(timeout=0.05)
    assert pool.get_next() == 0.5
    pool.submit(call("sleep"), 0.5)
    with pytest.raises(TimeoutError):
        pool.get_next(timeout=0, ignore_if_timedout=True)
    assert not pool.has_next()


def test_actors_come_and_go(pool: ActorPool) -> None:
    one, two = pool.pop_idle(), pool.pop_idle()
    assert one is not None
    assert two is not None
    assert pool.pop_idle() is None
    pool.submit(call("double"), 4)
    assert repr(pool) == "ActorPool(0 idle, 0 busy, 1 calls waiting)"
    with pytest.raises(UsageError, match=r"1 calls wait, and this ActorPool has no actors: push\(actor\) one"):
        pool.get_next()
    pool.push(one)
    assert pool.get_next() == 8
    with pytest.raises(ValueError, match="belongs to this ActorPool already"):
        pool.push(one)


def test_misuse(pool: ActorPool) -> None:
    with pytest.raises(WrongType, match=r"ActorPool takes handles of actors, as Class.remote\(\) returns them, not 3"):
        ActorPool([3])  # type: ignore[list-item]
    with pytest.raises(WrongType, match="expected the ObjectRef of a call"):
        pool.submit(lambda actor, value: value, 1)
    assert pool.pop_idle() is not None, "the actor is free again"
    with pytest.raises(UsageError, match="timeout=-1"):
        pool.get_next(timeout=-1)
