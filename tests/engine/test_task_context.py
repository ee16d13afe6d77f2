"""Which task a thread works for, where its output goes, and what is done when it has ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nbray.engine import task_context
from nbray.engine.task_context import TaskContext
from nbray.ids import CellRunId, TaskId

Emitted = list[tuple[TaskId, str, bytes]]


@pytest.fixture
def emitted() -> Iterator[Emitted]:
    emitted: Emitted = []
    task_context.enter(context(1, emitted))
    yield emitted
    task_context.enter(None)


def context(number: int, emitted: Emitted) -> TaskContext:
    return TaskContext(TaskId(number), "f", CellRunId("run"), 1, "worker 0", lambda *output: emitted.append(output))


def test_a_driver_works_for_no_task() -> None:
    assert task_context.current() is None


def test_output_goes_under_the_name_of_the_task(emitted: Emitted) -> None:
    current = task_context.current()
    assert current is not None
    current.emit("stdout", b"text")
    assert emitted == [(1, "stdout", b"text")]


def test_each_thread_works_for_its_own(emitted: Emitted) -> None:
    seen: list[TaskContext | None] = []
    thread = threading.Thread(target=lambda: seen.append(task_context.current()))
    thread.start()
    thread.join()
    assert seen == [None]
    assert task_context.current() is not None


def test_what_is_to_be_done_at_the_end_is_done_once(emitted: Emitted) -> None:
    done: list[str] = []
    task_context.at_end(lambda: done.append("first"))
    task_context.at_end(lambda: done.append("second"))
    task_context.end(TaskId(2))
    assert done == []
    task_context.end(TaskId(1))
    task_context.end(TaskId(1))
    assert done == ["first", "second"]


def test_a_task_within_a_task_has_its_own_end(emitted: Emitted) -> None:
    done: list[str] = []
    task_context.at_end(lambda: done.append("outer"))
    task_context.enter(context(2, emitted))
    task_context.at_end(lambda: done.append("inner"))
    task_context.end(TaskId(2))
    assert done == ["inner"]
    task_context.end(TaskId(1))
    assert done == ["inner", "outer"]
