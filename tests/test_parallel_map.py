"""nbray.map on a backend without processes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import nbray
from nbray import session
from nbray.chunk_sizes import AHEAD, IN_FLIGHT
from nbray.ids import CellRunId
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


def _any(value: Any) -> Any:
    return value


def square(x: int) -> int:
    return x * x


def invert(x: int) -> float:
    return 1 / x


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 1000])
def test_results_in_order(count: int, ordered: bool) -> None:
    assert list(nbray.map(square, range(count), ordered=ordered)) == [n * n for n in range(count)]
    assert list(nbray.map(square, iter(range(count)), ordered=ordered)) == [n * n for n in range(count)]
    assert nbray.map(square, range(count), ordered=ordered).get() == [n * n for n in range(count)]


def test_several_iterables() -> None:
    assert list(nbray.map(pow, [2, 3, 4], itertools.count(1))) == [2, 9, 64]


def test_len_next_and_repr() -> None:
    results = nbray.map(square, range(5))
    assert len(results) == 5
    assert repr(results) == "MapResult(square, 0 of 5 items done)"
    assert [next(results), next(results)] == [0, 1]
    assert list(results) == [4, 9, 16]
    assert repr(results) == "MapResult(square, 5 of 5 items done)"
    with pytest.raises(StopIteration):
        next(results)
    endless = nbray.map(square, itertools.count())
    with pytest.raises(TypeError, match="without a length"):
        len(endless)
    endless.close()


def test_many_cheap_items_take_few_tasks(backend: FakeBackend) -> None:
    assert sum(nbray.map(square, range(100_000))) == sum(n * n for n in range(100_000))
    assert len(backend.submitted) < 100


def test_get_of_a_map_says_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"it gives values, not refs: list\(results\), or results.get\(\)"):
        nbray.get(nbray.map(square, [1]))


def test_an_interrupt_loses_nothing(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    results = nbray.map(square, range(10), chunksize=2)
    get = backend.get

    def interrupted(*arguments: Any) -> list[Any]:
        monkeypatch.setattr(backend, "get", get)
        raise KeyboardInterrupt

    monkeypatch.setattr(backend, "get", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(results)
    assert list(results) == [n * n for n in range(10)]


def test_work_starts_at_once_and_is_bounded(backend: FakeBackend) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in itertools.count():
            taken.append(n)
            yield n

    results = nbray.map(square, items())
    assert len(backend.submitted) == IN_FLIGHT * 2
    for _ in range(10):
        next(results)
    assert len(taken) < 10_000
    results.close()


def test_a_slow_head_does_not_let_workers_idle(backend: FakeBackend) -> None:
    results = nbray.map(square, range(1000), chunksize=1)
    head = backend._queue.pop(0)  # stands for a task that takes long
    assert next(nbray.map(square, [3])) == 9
    with pytest.raises(AssertionError, match="deadlock"):
        next(results)
    assert len(backend.submitted) == 1 + AHEAD * 2
    backend._queue.append(head)
    assert list(results) == [n * n for n in range(1000)]


def test_unordered_gives_what_is_ready(backend: FakeBackend) -> None:
    results = nbray.map(square, range(4), chunksize=1, ordered=False)
    backend._queue.append(backend._queue.pop(0))
    assert list(results) == [1, 4, 9, 0]


def test_remote_functions_keep_their_options(backend: FakeBackend) -> None:
    remote = nbray.remote(num_cpus=2, name="sq")(square)
    assert list(nbray.map(remote, [1, 2], num_cpus=1)) == [1, 4]
    assert {(name, options.resources["CPU"]) for name, options, _ in backend.submitted} == {("sq", 10_000)}
    with pytest.raises(nbray.InfeasibleRequest):
        nbray.map(remote, [1], num_cpus=9)


def test_items_that_are_refs_are_resolved() -> None:
    refs = [nbray.put(n) for n in range(5)]
    assert list(nbray.map(square, refs)) == [0, 1, 4, 9, 16]
    assert list(nbray.map(max, refs, [3] * 5, chunksize=2)) == [3, 3, 3, 3, 4]
    with pytest.raises(TypeError):
        nbray.map(len, [[nbray.put(1)], 3]).get()


def test_refs_of_finished_chunks_are_let_go(backend: FakeBackend) -> None:
    results = nbray.map(square, range(3))
    assert list(results) == [0, 1, 4]
    assert backend.counts == {}


def test_chunks_belong_to_the_cell_that_mapped(backend: FakeBackend) -> None:
    session.set_cell_run(CellRunId("a"))
    results = nbray.map(square, range(20), chunksize=1)
    session.set_cell_run(CellRunId("b"))
    results.get()
    assert {run for _, _, run in backend.submitted} == {"a"}


# -------------------------------------------------------------------- failures


def test_a_failure_comes_in_its_place_and_the_rest_can_be_had() -> None:
    results = nbray.map(invert, [1, 2, 0, 4])
    got: list[float] = []
    with pytest.raises(ZeroDivisionError) as error:
        got.extend(results)
    assert got == [1.0, 0.5]
    assert "in item 2 of nbray.map(invert)" in error.value.__notes__
    assert list(results) == [0.25]


@pytest.mark.parametrize("chunksize", [1, 3, None])
def test_get_raises_the_first_failure_and_gives_all_when_asked(chunksize: int | None) -> None:
    results = nbray.map(invert, [1, 0, 2, 0, 4], chunksize=chunksize)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError) as error:
            results.get()
        assert "in item 1 of nbray.map(invert)" in error.value.__notes__
    everything = results.get(return_exceptions=True)
    assert [each if isinstance(each, float) else type(each) for each in everything] == [
        1.0, ZeroDivisionError, 0.5, ZeroDivisionError, 0.25,
    ]  # fmt: skip


def test_a_chunk_that_fails_as_a_whole_names_its_items(backend: FakeBackend) -> None:
    results = nbray.map(square, range(4), chunksize=2)
    backend.cancel([backend._queue[1].task_id])
    assert [next(results), next(results)] == [0, 1]
    for _ in range(2):
        with pytest.raises(nbray.TaskCancelledError) as error:
            next(results)
        assert "in items 2 to 3 of nbray.map(square)" in error.value.__notes__
    with pytest.raises(StopIteration):
        next(results)


def test_with_retry_exceptions_each_item_is_a_task(backend: FakeBackend) -> None:
    results = nbray.map(invert, [1, 0], retry_exceptions=True)
    assert next(results) == 1.0
    with pytest.raises(ZeroDivisionError) as error:
        next(results)
    assert any("attempt 4" in note for note in error.value.__notes__)
    assert "in item 1 of nbray.map(invert)" in error.value.__notes__


def test_an_iterable_that_raises_does_so_behind_its_items() -> None:
    def broken() -> Iterator[int]:
        yield from (1, 2)
        raise OSError("no more")

    results = nbray.map(square, broken())
    assert [next(results), next(results)] == [1, 4]
    with pytest.raises(OSError, match="no more"):
        next(results)
    assert list(results) == []


def test_a_dead_cluster_ends_it(backend: FakeBackend) -> None:
    results = nbray.map(square, range(4))
    backend.die()
    with pytest.raises(nbray.ClusterDied):
        list(results)


# -------------------------------------------------------------------- ending early


def test_leaving_the_loop_cancels_the_rest(backend: FakeBackend) -> None:
    for result in nbray.map(square, range(1000), chunksize=1):
        if result == 4:
            break
    assert backend._queue == []
    assert backend.counts == {}


def test_close_keeps_what_is_here(backend: FakeBackend) -> None:
    with nbray.map(square, range(100), chunksize=2) as results:
        assert next(results) == 0
    assert backend._queue == []
    assert list(results) == [1]
    results.close()


def test_dropping_it_after_the_cluster_is_gone_is_silent(backend: FakeBackend) -> None:
    results = nbray.map(square, range(100), chunksize=2)
    backend.die()
    del results


# -------------------------------------------------------------------- misuse


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nbray.map(_any([1, 2]), _any(square)), r"nbray.map\(\[1, 2\], ...\): expected the function first"),
        (lambda: nbray.map(square), r"has nothing to go through: nbray.map\(square, items\)"),
        (lambda: nbray.map(square, _any(5)), r"cannot go through 5 \(int\)"),
        (lambda: nbray.map(square, nbray.put([1])), r"write nbray.map\(f, nbray.get\(ref\)\)"),
        (lambda: nbray.map(square, [1], chunksize=0), r"chunksize=0: expected a whole number >= 1"),
        (lambda: nbray.map(square, [1], chunk=3), r"there is no option chunk="),
        (lambda: nbray.map(square, [1], num_returns=2), r"num_returns=2: nbray.map gives one result an item"),
        (lambda: nbray.map(time.sleep, [1], timeout=-1), r"timeout=-1"),
    ],
)
def test_bad_maps(call: Callable[[], Any], message: str, backend: FakeBackend) -> None:
    with pytest.raises(nbray.UsageError, match=message):
        call()
    assert backend.submitted == []
