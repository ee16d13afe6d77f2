"""Futures of calls: what they do with outcomes, and that each outcome is handed over once."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator

import pytest

import nbray
from nbray.call_futures import by_backend
from tests.contract.conftest import until
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


def test_the_result_is_released_once_it_is_handed_over(backend: FakeBackend) -> None:
    with nbray.Executor() as executor:
        future = executor.submit(abs, -1)
        assert future.result() == 1
        assert future.place is None
    assert until(lambda: not backend.counts)


def test_a_timeout_leaves_the_call_alone(backend: FakeBackend) -> None:
    backend.frozen = True
    executor = nbray.Executor()
    future = executor.submit(abs, -1)
    for wait in (future.result, future.exception):
        with pytest.raises(concurrent.futures.TimeoutError):
            wait(0.01)
    backend.frozen = False
    assert future.result(5) == 1
    executor.shutdown()


def test_by_backend(backend: FakeBackend) -> None:
    backend.frozen = True
    executor = nbray.Executor(max_workers=1)
    futures = [executor.submit(abs, -1) for _ in range(3)]
    assert {one: len(ids) for one, ids in by_backend(futures).items()} == {backend: 1}, "the others are held back"
    backend.frozen = False
    assert [future.result(5) for future in futures] == [1, 1, 1]
    executor.shutdown()
    assert by_backend(futures) == {}
