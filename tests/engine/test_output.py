"""What a worker's tasks print is collected, joined and limited."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nbray.engine.output import TaskOutput
from nbray.engine.task_context import TaskContext
from nbray.ids import CellRunId, TaskId

TASK = TaskContext(TaskId(1), "fit", CellRunId("c"), 1, "worker 1", lambda task_id, stream, data: None)
LIMIT = 1000


class Printing:
    """A TaskOutput whose later flush the test makes itself."""

    def __init__(self) -> None:
        self.posted: list[tuple[TaskId, str, bytes]] = []
        self.later: list[Callable[[], None]] = []
        self.output = TaskOutput(self._post, lambda at, call: self.later.append(call), 3600.0, LIMIT)
        self.output.write(TASK, "stdout", b"first\n")  # leaves at once; what follows waits

    def _post(self, task_id: TaskId, stream: str, data: bytes, now: bool) -> None:
        self.posted.append((task_id, stream, data))

    def text(self) -> bytes:
        self.output.flush()
        return b"".join(data for _, _, data in self.posted)


@pytest.fixture
def printing(capfd: pytest.CaptureFixture[str]) -> Printing:
    """What goes to the log lands in `capfd`."""
    return Printing()


def test_the_first_line_leaves_at_once_and_the_next_ones_together(printing: Printing) -> None:
    for number in range(100):
        printing.output.write(TASK, "stdout", b"%d\n" % number)
    assert len(printing.posted) == 1
    assert len(printing.later) == 1
    assert printing.text() == b"first\n" + b"".join(b"%d\n" % number for number in range(100))
    assert len(printing.posted) == 2


def test_text_beyond_the_limit_goes_to_the_log(printing: Printing, capfd: pytest.CaptureFixture[str]) -> None:
    printing.output.write(TASK, "stdout", b"x" * 2 * LIMIT)
    assert len(printing.text()) == LIMIT
    assert len(capfd.readouterr().out) == 2 * LIMIT + len(b"first\n") - LIMIT


def test_a_progress_bar_takes_no_room_and_sends_only_its_last_state(printing: Printing) -> None:
    for step in range(10_000):
        printing.output.write(TASK, "stderr", b"\r%5d/10000 |#####|" % step)
    printing.output.write(TASK, "stdout", b"done\n")
    assert printing.text() == b"first\n\r 9999/10000 |#####|done\n"


def test_a_long_rewritten_line_takes_room(printing: Printing) -> None:
    for _ in range(10):
        printing.output.write(TASK, "stdout", b"\r" + b"y" * 600)
    assert len(printing.text()) == LIMIT
