"""Every backend: nbray.map."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.backends.backend import Backend
from tests.contract.conftest import until

pytestmark = pytest.mark.usefixtures("backend")


def invert(x: int) -> float:
    return 1 / x


def test_results(backend: Backend) -> None:
    assert list(nbray.map(abs, range(-20_000, 0))) == list(range(20_000, 0, -1))
    assert sorted(nbray.map(abs, iter(range(-2000, 0)), ordered=False)) == list(range(1, 2001))
    assert nbray.map(pow, [2, 3], itertools.repeat(3)).get() == [8, 27]


def test_arrays() -> None:
    rows = nbray.map(np.sum, np.ones((50, 10_000)))
    assert list(rows) == [10_000.0] * 50
    assert [array.shape for array in nbray.map(np.zeros, [10, 100_000])] == [(10,), (100_000,)]


def test_failures_name_the_item() -> None:
    results = nbray.map(invert, [1, 2, 0, 4], chunksize=3)
    with pytest.raises(ZeroDivisionError) as error:
        results.get()
    assert error.value.__notes__ == ["in item 2 of nbray.map(invert)"]
    assert "return 1 / x" in str(error.value.__cause__)
    assert isinstance(results.get(return_exceptions=True)[2], ZeroDivisionError)


def test_refs_and_nested_maps() -> None:
    def total(n: int) -> Any:
        return sum(nbray.map(abs, range(n)))

    assert nbray.map(total, [nbray.put(3), nbray.put(4)]).get() == [3, 6]


def test_dropping_it_cancels_the_rest(backend: Backend) -> None:
    results = nbray.map(abs, itertools.count(), chunksize=1)
    assert next(results) == 0
    del results
    assert until(lambda: backend.snapshot().queued == 0)
