"""Futures of values that a cluster will have."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import nbray
from nbray import session
from tests.contract.conftest import until
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


def test_many_futures_need_one_thread(backend: FakeBackend) -> None:
    backend.frozen = True
    futures = [nbray.apply_async(abs, (-n,)).future() for n in range(100)]
    backend.frozen = False
    done, _ = concurrent.futures.wait([nbray.apply_async(abs, (-1,)).future() for _ in range(100)], 5)
    assert len(done) == 100
    assert sum(thread.name == "nbray-future" for thread in threading.enumerate()) == 1
    assert [future.result(5) for future in futures] == list(range(100))
    assert until(lambda: not backend.counts), "they let their objects go"


def test_who_waits_hands_over_and_needs_no_thread(backend: FakeBackend) -> None:
    assert until(lambda: "nbray-future" not in {thread.name for thread in threading.enumerate()})
    backend.frozen = True
    future = nbray.apply_async(abs, (-1,)).future()
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(0.01)
    backend.frozen = False
    assert future.result(5) == 1
    assert "nbray-future" not in {thread.name for thread in threading.enumerate()}


def test_a_callback_may_wait_for_another_future(backend: FakeBackend) -> None:
    backend.frozen = True
    slow, quick = nbray.apply_async(abs, (-1,)).future(), nbray.apply_async(abs, (-2,)).future()
    heard: list[Any] = []
    quick.add_done_callback(lambda future: heard.append(future.result() + slow.result(5)))
    backend.frozen = False
    assert quick.result(5) == 2
    assert until(lambda: heard == [3])


def test_a_cancelled_future_drops_the_value(backend: FakeBackend) -> None:
    backend.frozen = True
    ref = nbray.apply_async(abs, (-1,))
    future = ref.future()
    assert future.cancel()
    backend.frozen = False
    assert nbray.get(ref) == 1
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(5)


def test_that_the_task_was_cancelled_is_its_exception(backend: FakeBackend) -> None:
    backend.frozen = True
    ref = nbray.apply_async(abs, (-1,))
    future = ref.future()
    nbray.cancel(ref)
    assert isinstance(future.exception(5), nbray.TaskCancelledError)
    backend.frozen = False


def test_a_wait_in_a_worker_frees_the_cpu_of_its_task(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    entered: list[str] = []

    class Waiting:
        def __enter__(self) -> None:
            entered.append("in")

        def __exit__(self, *_: object) -> None:
            entered.append("out")

    monkeypatch.setattr(backend, "waiting", Waiting)
    monkeypatch.setattr(session.current, "in_worker", True)
    backend.frozen = True
    futures = [nbray.apply_async(abs, (-n,)).future() for n in range(2)]
    concurrent.futures.wait(futures, timeout=0.01)
    assert entered == ["in", "in", "out", "out"]
    backend.frozen = False
    assert [future.result(5) for future in futures] == [0, 1]
