"""The thread that calls back when objects exist."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nbray.call_options import build
from nbray.completions import Completions
from nbray.engine import task_context
from nbray.engine.task_context import TaskContext
from nbray.ids import BACKGROUND, CellRunId, TaskId
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
    completions.call_soon(done.set, None)
    assert done.wait(5)
    assert calls == [(n, "nbray-test") for n in range(50)]


def test_the_thread_is_there_only_while_there_is_something_to_say(backend: FakeBackend) -> None:
    completions, done = Completions("nbray-test"), threading.Event()
    backend.frozen = True
    (object_id,) = backend.submit(abs, (-1,), {}, build({}), BACKGROUND)
    completions.expect(backend, object_id, done.set)
    assert not _is_there()
    backend.frozen = False
    assert backend.get((object_id,)) == [1]
    assert done.wait(5)
    assert _is_there()
    assert until(lambda: not _is_there())
    done.clear()
    completions.call_soon(done.set, None)
    assert done.wait(5), "it comes back"


def _is_there() -> bool:
    return "nbray-test" in {thread.name for thread in threading.enumerate()}


def test_where_no_thread_can_be_started_the_next_call_does(monkeypatch: pytest.MonkeyPatch) -> None:
    completions, calls, done = Completions("nbray-test"), list[int](), threading.Event()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        completions.call_soon(lambda: calls.append(1), None)
    completions.call_soon(done.set, None)
    assert done.wait(5)
    assert calls == [1]


def test_a_callback_works_for_the_task_that_asked(backend: FakeBackend) -> None:
    completions, seen, done = Completions("nbray-test"), list[object](), threading.Event()
    context = TaskContext(TaskId(1), "work", CellRunId("cell"), 1, "worker 1", lambda *_: None)
    task_context.enter(context)
    completions.expect(backend, backend.put(1), lambda: seen.append(task_context.current()))
    task_context.enter(None)
    completions.expect(backend, backend.put(2), lambda: seen.append(task_context.current()))
    completions.call_soon(done.set, None)
    assert done.wait(5)
    assert seen == [context, None]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_raises_does_not_end_it() -> None:
    completions, done = Completions("nbray-test"), threading.Event()
    completions.call_soon(lambda: 1 // 0, None)  # type: ignore[arg-type]
    completions.call_soon(done.set, None)
    assert done.wait(5)

