"""Every backend: remote functions that yield, and those who take what they yield."""

from __future__ import annotations

import asyncio
import gc
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.backends.backend import Backend
from nbray.streams import DynamicObjectRefGenerator, ObjectRefGenerator
from tests.contract.conftest import Gate
from tests.contract.test_objects import all_but


@nbray.remote
def count(n: int, fail_at: int = -1) -> Iterator[int]:
    for number in range(n):
        if number == fail_at:
            raise LookupError(f"no {number}")
        yield number


@nbray.remote
async def count_async(n: int) -> AsyncIterator[int]:
    for number in range(n):
        await asyncio.sleep(0)
        yield number


@nbray.remote
def echo(value: Any = None) -> Any:
    return value


# -------------------------------------------------------------------- items


def test_items_come_in_order(backend: Backend) -> None:
    refs = list(count.remote(1000))
    assert nbray.get(refs) == list(range(1000))


def test_a_stream_without_items_just_ends(backend: Backend) -> None:
    assert list(count.remote(0)) == []


def test_the_default_is_to_stream(backend: Backend) -> None:
    for function in (count, count.options(num_returns="streaming"), count_async):
        generator = function.remote(3)
        assert isinstance(generator, ObjectRefGenerator)
        assert [nbray.get(ref) for ref in generator] == [0, 1, 2]
        with pytest.raises(StopIteration):
            next(generator)


def test_async_for(backend: Backend) -> None:
    async def main() -> list[int]:
        return [await ref async for ref in count.remote(5)] + [await ref async for ref in count.remote(2)]

    assert asyncio.run(main()) == [0, 1, 2, 3, 4, 0, 1]


def test_many_streams_in_one_loop(backend: Backend) -> None:
    async def take(n: int) -> list[int]:
        return [await ref async for ref in count.remote(n)]

    async def main() -> list[list[int]]:
        return await asyncio.gather(*(take(n) for n in range(6)))

    assert asyncio.run(main()) == [list(range(n)) for n in range(6)]


def test_a_generator_that_raises_gives_its_items_and_then_its_error(backend: Backend) -> None:
    generator = count.remote(5, 2)
    refs = list(generator)
    assert nbray.get(refs[:2]) == [0, 1]
    with pytest.raises(LookupError, match="no 2"):
        nbray.get(refs[2])
    assert len(refs) == 3
    with pytest.raises(StopIteration):
        next(generator)


def test_errors_in_async_for(backend: Backend) -> None:
    async def main() -> list[Any]:
        return [ref async for ref in count.remote(5, 1)]

    good, bad = asyncio.run(main())
    assert nbray.get(good) == 0
    with pytest.raises(LookupError):
        nbray.get(bad)


def test_large_items_and_items_that_hold_refs(backend: Backend) -> None:
    @nbray.remote
    def mixed() -> Iterator[Any]:
        yield np.full(200_000, 7)
        yield {"inside": nbray.put(np.arange(100_000))}
        yield nbray.put("itself")

    assert all_but(backend, 0) == 0
    refs = list(mixed.remote())
    array, holder, inner = nbray.get(refs)
    gc.collect()
    assert array.sum() == 1_400_000
    assert nbray.get(holder["inside"])[-1] == 99_999
    assert nbray.get(inner) == "itself"
    del refs, array, holder, inner
    assert all_but(backend, 0) == 0


def test_items_are_arguments_like_other_refs(backend: Backend) -> None:
    assert nbray.get([echo.remote(ref) for ref in count.remote(3)]) == [0, 1, 2]


def test_items_live_as_long_as_their_refs(backend: Backend) -> None:
    assert all_but(backend, 0) == 0
    generator = count.remote(100)
    kept = next(generator)
    nbray.wait([generator.completed()])
    del generator
    assert all_but(backend, 1) == 0
    assert nbray.get(kept) == 0
    del kept
    assert all_but(backend, 0) == 0


def test_a_stream_inside_a_task(backend: Backend) -> None:
    @nbray.remote
    def total(n: int) -> int:
        return sum(nbray.get(ref) for ref in count.remote(n))

    assert nbray.get(total.remote(50)) == 1225


def test_a_function_that_returns_an_iterator_may_stream_too(backend: Backend) -> None:
    @nbray.remote(num_returns="streaming")
    def pairs() -> Any:
        return zip("ab", [1, 2], strict=True)

    assert [nbray.get(ref) for ref in pairs.remote()] == [("a", 1), ("b", 2)]


# -------------------------------------------------------------------- dynamic, and so many


def test_dynamic_is_one_ref_of_all_refs(backend: Backend) -> None:
    ref = count.options(num_returns="dynamic").remote(4)
    refs = nbray.get(ref)
    assert isinstance(refs, DynamicObjectRefGenerator)
    assert len(refs) == 4
    assert [nbray.get(each) for each in refs] == [0, 1, 2, 3]
    assert nbray.get(echo.remote(refs[2])) == 2


def test_dynamic_with_an_error(backend: Backend) -> None:
    refs = nbray.get(count.options(num_returns="dynamic").remote(4, 2))
    assert nbray.get(list(refs[:2])) == [0, 1]
    with pytest.raises(LookupError):
        nbray.get(refs[2])
    assert len(refs) == 3


def test_dynamic_refs_end_with_their_owner(backend: Backend) -> None:
    assert all_but(backend, 0) == 0
    ref = count.options(num_returns="dynamic").remote(4)
    refs = nbray.get(ref)
    del ref
    gc.collect()
    assert [nbray.get(each) for each in refs] == [0, 1, 2, 3]
    del refs
    assert all_but(backend, 0) == 0


@pytest.mark.parametrize("function", [count, count_async])
def test_a_number_of_returns(backend: Backend, function: Any) -> None:
    assert nbray.get(function.options(num_returns=3).remote(3)) == [0, 1, 2]
    assert function.options(num_returns=0).remote(3) is None


@pytest.mark.local
@pytest.mark.parametrize(("yielded", "got"), [(2, "only 2"), (5, "more")])
def test_another_number_of_items_than_returns(real_backend: Backend, yielded: int, got: str) -> None:
    with pytest.raises(ValueError, match=f"num_returns=3 but yielded {got} values"):
        nbray.get(count.options(num_returns=3).remote(yielded))


# -------------------------------------------------------------------- waiting


def test_wait_takes_generators_among_refs(backend: Backend, gate: Gate) -> None:
    generator, empty, failed, done = count.remote(2), count.remote(0), count.remote(1, 0), nbray.put(1)
    assert nbray.wait([generator, empty, failed, done], num_returns=4, timeout=30) == ([generator, empty, failed, done], [])
    gate.close()
    queued = count.remote(1)
    assert nbray.wait([queued, done], num_returns=2, timeout=0) == ([done], [queued])
    assert not queued.next_ready()
    gate.open()
    assert nbray.wait([queued]) == ([queued], [])
    assert queued.next_ready()
    assert nbray.wait([queued], timeout=0) == ([queued], []), "to look takes nothing away"
    assert nbray.get(next(queued)) == 0


def test_is_finished(backend: Backend) -> None:
    generator = count.remote(1)
    nbray.wait([generator.completed()])
    assert not generator.is_finished()
    next(generator)
    assert generator.is_finished()
    assert not generator.next_ready()


def test_completed_is_there_when_the_task_has_ended(backend: Backend) -> None:
    generator = count.remote(3)
    assert nbray.get(generator.completed()) is None
    assert len(list(generator)) == 3
    failed = count.remote(3, 1)
    with pytest.raises(LookupError):
        nbray.get(failed.completed())


def test_completed_lets_it_run_ahead(backend: Backend) -> None:
    generator = count.options(_generator_backpressure_num_objects=2).remote(50)
    nbray.get(generator.completed(), timeout=30)
    assert len(list(generator)) == 50


# -------------------------------------------------------------------- misuse


def test_get_and_put_of_a_generator(backend: Backend) -> None:
    generator = count.remote(2)
    with pytest.raises(TypeError, match=r"nbray.get\(list\(generator\)\)"):
        nbray.get(generator)
    for send in (nbray.put, echo.remote, pickle.dumps):
        with pytest.raises(TypeError, match="cannot be sent to another process"):
            send(generator)
    with pytest.raises(TypeError, match=r"next\(generator\)"):
        generator[0]
    with pytest.raises(TypeError, match=r"nbray.cancel\(generator\)"):
        generator.send(1)


@pytest.mark.local
def test_what_cannot_be_iterated(real_backend: Backend) -> None:
    ref = next(echo.options(num_returns="streaming").remote(5))
    with pytest.raises(TypeError, match="returned int, which cannot be iterated"):
        nbray.get(ref)


@pytest.mark.local
def test_an_item_that_cannot_be_sent(real_backend: Backend) -> None:
    @nbray.remote
    def strange() -> Iterator[Any]:
        yield 1
        yield (number for number in range(3))

    good, bad = list(strange.remote())
    assert nbray.get(good) == 1
    with pytest.raises(nbray.ResultNotShippable, match="item 1 of"):
        nbray.get(bad)
