"""Batches of joblib as bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.batches import LARGE, SharedArrays, pack, run_batch, unpack
from nbray.errors import NotShippable
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


class Batch:
    """What joblib hands over: something to call, with everything in it."""

    def __init__(self, *items: tuple[Callable[..., Any], tuple[Any, ...]]) -> None:
        self.items = items

    def __call__(self) -> list[Any]:
        return [function(*args) for function, args in self.items]


def run(batch: Batch, arrays: SharedArrays | None = None, read_only: float = 1 << 20) -> list[Any]:
    blob, refs = pack(batch, arrays or SharedArrays())
    return unpack(run_batch(None, read_only, blob, *nbray.get(refs)))  # type: ignore[no-any-return]


def test_code_of_the_notebook_travels() -> None:
    offset = 3
    assert run(Batch((lambda x: x + offset, (4,)), (abs, (-1,)))) == [7, 1]


def test_a_large_array_is_stored_once_wherever_it_stands(backend: FakeBackend) -> None:
    large, arrays = np.zeros(LARGE), SharedArrays()
    blob, refs = pack(Batch((np.sum, (large,)), (len, ([{"x": large}],))), arrays)
    assert len(refs) == 1
    assert len(blob) < 1000
    again, others = pack(Batch((len, ([large, large[:], large[1:]],))), arrays)[1]
    assert again == refs[0], "a view of all of it is the same data"
    assert others != again
    assert backend.snapshot().store.objects == 2


def test_the_data_of_a_table_is_stored_once(backend: FakeBackend) -> None:
    import pandas as pd

    table, arrays = pd.DataFrame({"a": np.arange(float(LARGE)), "b": np.arange(float(LARGE))}), SharedArrays()
    for _ in range(3):
        pack(Batch((len, (table,))), arrays)
    assert backend.snapshot().store.objects <= 2
    assert run(Batch((len, (table,))), arrays) == [LARGE]


def test_small_arrays_and_results_arrive_writable() -> None:
    def double(x: Any) -> Any:
        x *= 2
        return x

    small, large = np.ones(3), np.ones(LARGE)
    assert [array.sum() for array in run(Batch((double, (small,)), (np.copy, (large,))))] == [6, LARGE]
    assert small.sum() == 3
    for array in run(Batch((double, (small,)), (np.copy, (large,)))):
        array += 1


def test_from_a_size_on_arrays_are_read_only() -> None:
    def spoil(x: Any, y: Any) -> float:
        x[0] = 7
        return float(y[0])

    array = np.ones(LARGE)
    with pytest.raises(ValueError, match="read-only"):
        run(Batch((spoil, (array, array))), read_only=array.nbytes)
    assert run(Batch((spoil, (array, array))), read_only=array.nbytes + 1) == [7.0], "one array, not two"
    assert array[0] == 1


def test_what_cannot_be_sent_is_named() -> None:
    with pytest.raises(NotShippable, match="lock"):
        pack(Batch((id, ({"the": threading.Lock()},))), SharedArrays())
    blob, _ = pack(Batch((lambda: threading.Lock(), ())), SharedArrays())
    with pytest.raises(NotShippable, match="the results of a batch of joblib"):
        run_batch(None, 0, blob)


def test_threads_are_limited() -> None:
    def threads() -> list[int]:
        import threadpoolctl

        return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]

    blob, _ = pack(Batch((threads, ())), SharedArrays())
    assert set(unpack(run_batch(1, 0, blob))[0]) <= {1}
