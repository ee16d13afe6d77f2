"""Every backend: programs as Ray's users write them, with nothing but the import changed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import nbray as ray
from nbray.backends.backend import Backend
from tests.contract.conftest import started

pytestmark = pytest.mark.usefixtures("program_backend")


@pytest.fixture(scope="module", params=["serial", pytest.param("local", marks=pytest.mark.local)])
def program_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Those that have actors."""
    yield from started(request.param)


def test_a_map_and_reduce_of_tasks() -> None:
    @ray.remote
    def part(values: Any) -> float:
        return float(values.sum())

    @ray.remote
    def total(*parts: float) -> float:
        return sum(parts)

    table = ray.put(np.arange(10_000))
    pieces = [part.remote(ray.get(table)[start::4]) for start in range(4)]
    assert ray.get(total.remote(*pieces)) == 49_995_000


def test_a_tree_of_tasks() -> None:
    @ray.remote
    def add(x: int, y: int) -> int:
        return x + y

    values: list[Any] = list(range(16))
    while len(values) > 1:
        values = [*values[2:], add.remote(values[0], values[1])]
    assert ray.get(values[0]) == 120


def test_taking_results_as_they_come() -> None:
    @ray.remote
    def work(n: int) -> int:
        return n * n

    waiting, taken = [work.remote(n) for n in range(10)], []
    while waiting:
        ready, waiting = ray.wait(waiting, num_returns=1, timeout=10)
        taken += ray.get(ready)
    assert sorted(taken) == [n * n for n in range(10)]


def test_a_failure_that_is_handled() -> None:
    @ray.remote(max_retries=0, retry_exceptions=False)
    def fail() -> None:
        raise ZeroDivisionError("no")

    with pytest.raises(ray.exceptions.RayTaskError) as caught:
        ray.get(fail.remote())
    assert isinstance(caught.value.cause, ZeroDivisionError)
    with pytest.raises(ZeroDivisionError, match="no"):
        ray.get(fail.remote())


class Store:
    def __init__(self, size: int) -> None:
        self.weights = np.zeros(size)

    def push(self, *gradients: Any) -> Any:
        for gradient in gradients:
            self.weights = self.weights + gradient
        return self.weights

    def pull(self) -> Any:
        return self.weights


class Waiter:
    async def wait_for(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds


def test_a_parameter_server() -> None:
    @ray.remote
    def gradient(weights: Any, rank: int) -> Any:
        return np.full_like(weights, rank)

    server = ray.remote(Store).remote(5)
    weights = server.pull.remote()
    for _ in range(3):
        weights = server.push.remote(*[gradient.remote(weights, rank) for rank in range(2)])
    assert ray.get(weights).tolist() == [3.0] * 5


def test_an_async_actor() -> None:
    waiter = ray.remote(Waiter).options(max_concurrency=10).remote()
    began = time.monotonic()
    assert ray.get([waiter.wait_for.remote(0.05) for _ in range(10)]) == [0.05] * 10
    assert time.monotonic() - began < 5


def test_a_pool_of_actors() -> None:
    class Squarer:
        def square(self, n: int) -> int:
            return n * n

    cls: Any = ray.remote(Squarer)
    pool = ray.util.ActorPool([cls.remote() for _ in range(2)])
    assert list(pool.map(lambda actor, n: actor.square.remote(n), range(6))) == [0, 1, 4, 9, 16, 25]
