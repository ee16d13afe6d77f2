"""Every backend: wait, await, futures and callbacks, and refs in containers, actors and results."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import gc
import threading
import time
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.backends.backend import Backend
from tests.contract.conftest import Gate, until
from tests.contract.test_objects import all_but


@nbray.remote
def echo(value: Any = None) -> Any:
    return value


@nbray.remote
def after(seconds: float, value: Any = None) -> Any:
    time.sleep(seconds)
    return value


@nbray.remote
def fail() -> None:
    raise LookupError("no")


# -------------------------------------------------------------------- wait


def test_one_at_a_time_over_many(backend: Backend) -> None:
    refs = rest = [echo.remote(number) for number in range(500)]
    taken = []
    while rest:
        ready, rest = nbray.wait(rest)
        assert len(ready) == 1
        taken += ready
    assert sorted(nbray.get(taken)) == list(range(500))
    assert set(taken) == set(refs)


def test_tasks_may_join_those_that_are_waited_for(backend: Backend) -> None:
    pending = [echo.remote(number) for number in range(200)]
    got = []
    for number in range(200, 400):
        (ready,), pending = nbray.wait(pending)
        got.append(nbray.get(ready))
        pending.append(echo.remote(number))
    got += nbray.get(pending)
    assert sorted(got) == list(range(400))


@pytest.mark.local
def test_what_comes_late_is_not_forgotten(real_backend: Backend) -> None:
    refs = [after.options(num_cpus=0).remote(0.3, -1), *[echo.remote(number) for number in range(200)]]
    rest, order = refs, []
    while rest:
        ready, rest = nbray.wait(rest)
        order += nbray.get(ready)
    assert order[-1] == -1
    assert sorted(order) == [-1, *range(200)]


@pytest.mark.local
def test_timeouts(real_backend: Backend, gate: Gate) -> None:
    done = [echo.remote(number) for number in range(100)]
    nbray.get(done)
    gate.close()
    queued = [echo.remote(number) for number in range(100)]
    refs = [*queued, *done]
    for timeout in (0, 0.05):
        rest, found = refs, []
        for _ in range(100):
            ready, rest = nbray.wait(rest, timeout=timeout)
            found += ready
        assert found == done
        started = time.monotonic()
        assert nbray.wait(rest, timeout=timeout) == ([], queued)
        assert time.monotonic() - started >= timeout
    gate.open()
    assert nbray.wait(queued, num_returns=100) == (queued, [])


def test_the_order_of_the_list_is_kept(backend: Backend) -> None:
    refs = [echo.remote(number) for number in range(10)]
    nbray.get(refs)
    mixed = [refs[place] for place in (7, 3, 9, 0, 1)]
    assert nbray.wait(mixed, num_returns=3) == (mixed[:3], mixed[3:])
    assert nbray.wait(tuple(mixed), num_returns=5, fetch_local=False) == (mixed, [])
    assert nbray.wait([]) == ([], [])


def test_duplicates_are_refused(backend: Backend) -> None:
    ref = echo.remote(1)
    for refs in ([ref, ref], [*(echo.remote(number) for number in range(100)), ref, ref]):
        with pytest.raises(ValueError, match="takes each ref once"):
            nbray.wait(refs)


@pytest.mark.local
def test_what_wait_has_left_ends_with_its_last_ref(real_backend: Backend) -> None:
    assert all_but(real_backend, 0) == 0
    rest = [nbray.put(number) for number in range(200)]
    for _ in range(5):
        _, rest = nbray.wait(rest)
    del _, rest
    assert all_but(real_backend, 0) == 0


def test_as_completed_over_many(backend: Backend) -> None:
    refs = [echo.remote(number) for number in range(300)]
    assert sorted(nbray.get(ref) for ref in nbray.as_completed([*refs, refs[0]])) == [0, *range(300)]


@pytest.mark.local
def test_as_completed_gives_the_quick_ones_first(real_backend: Backend) -> None:
    slow, quick = after.remote(0.3, "slow"), echo.remote("quick")
    assert [nbray.get(ref) for ref in nbray.as_completed([slow, quick])] == ["quick", "slow"]


@pytest.mark.local
def test_several_threads_wait_at_once(real_backend: Backend) -> None:
    def drain(number: int) -> int:
        rest, total = [echo.remote(number) for _ in range(150)], 0
        while rest:
            ready, rest = nbray.wait(rest)
            total += sum(nbray.get(ready))
        return total

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(drain, range(4))) == [0, 150, 300, 450]


# -------------------------------------------------------------------- await


def test_gather_keeps_order_and_raises(backend: Backend) -> None:
    async def main() -> Any:
        results = await asyncio.gather(*(echo.remote(n) for n in range(50)), fail.remote(), return_exceptions=True)
        with pytest.raises(LookupError):
            await asyncio.gather(echo.remote(1), fail.remote())
        return results

    *values, error = asyncio.run(main())
    assert values == list(range(50))
    assert isinstance(error, LookupError)


@pytest.mark.local
def test_wait_for_gives_up_and_the_task_goes_on(real_backend: Backend) -> None:
    ref = after.remote(0.3, "there")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ref, 0.05)
        done, pending = await asyncio.wait([asyncio.ensure_future(_of(each)) for each in (ref, echo.remote(1))])
        assert len(done) == 2
        assert not pending

    async def _of(each: Any) -> Any:
        return await each

    asyncio.run(main())
    assert nbray.get(ref) == "there"


@pytest.mark.local
def test_an_interrupt_ends_an_await_at_once(real_backend: Backend) -> None:
    ref = after.remote(3)
    began: list[float] = []

    def interrupt() -> None:
        began.append(time.monotonic())
        _thread.interrupt_main()

    async def main() -> None:
        threading.Timer(0.2, interrupt).start()
        await ref

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert time.monotonic() - began[0] < 2, "the task goes on for three seconds"
    nbray.cancel(ref)


@pytest.mark.local
def test_a_task_may_await_others_on_one_cpu(real_backend: Backend) -> None:
    @nbray.remote(num_cpus=2)
    def outer() -> Any:
        async def main() -> Any:
            return await asyncio.gather(*(echo.options(num_cpus=2).remote(n) for n in range(3)))

        return asyncio.run(main())

    assert nbray.get(outer.remote(), timeout=30) == [0, 1, 2]


# -------------------------------------------------------------------- futures and callbacks


def test_futures_with_the_standard_library(backend: Backend) -> None:
    futures = [echo.remote(number).future() for number in range(20)]
    assert sorted(future.result(30) for future in concurrent.futures.as_completed(futures, 30)) == list(range(20))
    done, pending = concurrent.futures.wait([fail.remote().future(), echo.remote(1).future()], 30)
    assert not pending
    assert sorted(str(future.exception()) for future in done if future.exception()) == ["no"]


def test_a_future_in_a_loop(backend: Backend) -> None:
    async def main() -> Any:
        return await asyncio.wrap_future(echo.remote("value").future())

    assert asyncio.run(main()) == "value"


def test_callbacks_hear_of_values_and_errors(backend: Backend) -> None:
    heard: list[Any] = []
    for ref in (echo.remote(1), fail.remote()):
        ref.future().add_done_callback(lambda future: heard.append(future.exception() or future.result()))
    assert until(lambda: len(heard) == 2, 30)
    assert {str(each) for each in heard} == {"1", "no"}


def test_callbacks_may_wait_for_each_other(backend: Backend) -> None:
    first, second = echo.remote(1).future(), echo.remote(2).future()
    heard: list[int] = []
    second.add_done_callback(lambda future: heard.append(future.result() + first.result(30)))
    assert until(lambda: heard == [3], 30)


# -------------------------------------------------------------------- where refs live


def test_refs_in_all_kinds_of_containers(backend: Backend) -> None:
    class Box:
        def __init__(self, ref: Any) -> None:
            self.ref = ref

    value = {"list": [nbray.put(1)], "tuple": (nbray.put(2),), "set": {nbray.put(3)}, "box": Box(nbray.put(4))}
    ref = echo.remote(value)
    del value
    gc.collect()
    got = nbray.get(ref)
    assert nbray.get([got["list"][0], got["tuple"][0], *got["set"], got["box"].ref]) == [1, 2, 3, 4]


def test_refs_that_a_task_returns_stay_alive(backend: Backend) -> None:
    @nbray.remote
    def make() -> Any:
        return [nbray.put(np.arange(50_000)), echo.remote("started inside")]

    stored, started = nbray.get(make.remote())
    nbray.get([echo.remote(number) for number in range(20)])
    assert nbray.get(stored)[-1] == 49_999
    assert nbray.get(started) == "started inside"


@pytest.mark.local
def test_refs_inside_an_actor_stay_alive(real_backend: Backend) -> None:
    class Keeper:
        def keep(self, box: list[Any]) -> None:
            self.box = box

        def give(self) -> list[Any]:
            return self.box

        def drop(self) -> None:
            self.box = []

    assert all_but(real_backend, 0) == 0
    keeper = nbray.remote(Keeper).remote()
    nbray.get(keeper.keep.remote([nbray.put(np.ones(50_000)), echo.remote("x")]))
    gc.collect()
    nbray.get([echo.remote(number) for number in range(20)])
    array, text = nbray.get(nbray.get(keeper.give.remote()))
    assert (array.sum(), text) == (50_000, "x")
    del array
    nbray.get(keeper.drop.remote())
    assert until(lambda: real_backend.snapshot().store.used < 10_000)
    del keeper
    assert all_but(real_backend, 0) == 0
