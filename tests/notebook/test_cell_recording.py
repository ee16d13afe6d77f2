"""What is recorded of a cell, on the worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from nbray.engine import task_context
from nbray.engine.task_context import TaskContext
from nbray.ids import BACKGROUND, ObjectId, TaskId
from nbray.notebook import cell_recording
from nbray.notebook.cell_recording import Recording

SENT: list[tuple[TaskId, str, bytes]] = []


@pytest.fixture(autouse=True)
def _task() -> Iterator[None]:
    SENT.clear()
    task_context.enter(TaskContext(ObjectId(7), "cell", BACKGROUND, 1, "worker 1", lambda *each: SENT.append(each)))
    yield
    task_context.enter(None)


def test_prints_and_displays_are_noted_in_order_and_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    streams, context = (sys.stdout, sys.stderr), task_context.current()
    with Recording() as recording:
        print("one")
        running = task_context.current()
        assert running is not None
        running.emit("display_data", b"{}")
        running.emit("progress", b"1 of 2")
        sys.stderr.writelines(["two", "\n"])
        assert sys.stdout.encoding
    assert recording.pieces == [
        ("stdout", b"one"), ("stdout", b"\n"), ("display_data", b"{}"), ("stderr", b"two"), ("stderr", b"\n")
    ]  # fmt: skip
    assert SENT == [(7, "display_data", b"{}"), (7, "progress", b"1 of 2")]
    assert capsys.readouterr() == ("one\n", "two\n")
    assert ((sys.stdout, sys.stderr), task_context.current()) == (streams, context)


def test_all_is_as_before_after_a_failure() -> None:
    before = sys.stdout
    with pytest.raises(ZeroDivisionError), Recording():
        _ = 1 / 0
    assert sys.stdout is before


def test_too_much_is_counted_and_not_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_recording, "MOST_OUTPUT", 10)
    with Recording() as recording:
        sys.stdout.write("123456")
        sys.stdout.write("123456")
    assert recording.pieces == [("stdout", b"123456")]
    assert recording.size == 12
