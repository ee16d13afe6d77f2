"""Which failures are kept, and where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.engine import failed_frames, task_context
from nbray.engine.task_context import TaskContext
from nbray.frame_snapshots import About
from nbray.ids import BACKGROUND, CellRunId, TaskId


@pytest.fixture(autouse=True)
def _outside() -> Iterator[None]:
    yield
    task_context.enter(None)


def enter(cell_run: CellRunId) -> None:
    """This thread works for a task of that cell."""
    task_context.enter(TaskContext(TaskId(5), "train", cell_run, 2, "worker 0 (pid 1)", lambda *_: None))


def test_failures_of_cells_lie_in_the_run_directory() -> None:
    enter(CellRunId("run"))
    found = failed_frames.place_in(Path("/run/nbray-x"))()
    assert found == (Path("/run/nbray-x/failures"), About(5, 2, "train", "worker 0 (pid 1)"))


def test_failures_of_scripts_are_not_kept() -> None:
    enter(BACKGROUND)
    assert failed_frames.place_in(Path("/run/nbray-x"))() is None


def test_nor_what_fails_outside_of_tasks() -> None:
    assert failed_frames.place_in(Path("/run/nbray-x"))() is None
