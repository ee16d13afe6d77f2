"""The thread that calls back when objects exist."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nbray.call_options import build
from nbray.completions import Completions
from nbray.ids import BACKGROUND
from tests.contract.conftest import until
from tests.fakes import FakeBackend, fake_session


@pytest.fixture
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


def test_it_calls_back_in_order_on_one_thread_of_its_own(backend: FakeBackend) -> None:
    completions, calls = Completions("nbray-test"), list[tuple[int, str]]()
    done = threading.Event()
    for n in range(50):
        completions.expect(backend, backend.put(n), lambda n=n: calls.append((n, threading.current_thread().name)))  # type: ignore[misc]
    completions.call_soon(done.set)
    assert done.wait(5)
    assert calls == [(n, "nbray-test") for n in range(50)]


def test_the_thread_ends_when_nothing_is_expected_and_comes_back(backend: FakeBackend) -> None:
    completions = Completions("nbray-test")
    for _ in range(2):
        done = threading.Event()
        completions.call_soon(done.set)
        assert done.wait(5)
        assert until(lambda: "nbray-test" not in {thread.name for thread in threading.enumerate()})


def test_it_stays_while_something_is_expected(backend: FakeBackend) -> None:
    completions, done = Completions("nbray-test"), threading.Event()
    backend.frozen = True
    (object_id,) = backend.submit(abs, (-1,), {}, build({}), BACKGROUND)
    completions.expect(backend, object_id, done.set)
    assert not done.wait(0.3)
    backend.frozen = False
    assert backend.get((object_id,)) == [1]
    assert done.wait(5)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_raises_does_not_end_it() -> None:
    completions, done = Completions("nbray-test"), threading.Event()
    completions.call_soon(lambda: 1 // 0)  # type: ignore[arg-type]
    completions.call_soon(done.set)
    assert done.wait(5)

