"""Owns where the frames of failed tasks lie in a run directory, and of which tasks they are kept: those of notebooks' cells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nbray.engine import task_context
from nbray.frame_snapshots import About
from nbray.ids import BACKGROUND

Place = Callable[[], tuple[Path, About] | None]


def directory(run_directory: Path) -> Path:
    """The folder of a cluster's failures; it goes with the cluster."""
    return run_directory / "failures"


def place_in(run_directory: Path) -> Place:
    """Where a worker keeps the frames of what fails now; nowhere for scripts, which nobody asks for post-mortems."""

    def place() -> tuple[Path, About] | None:
        context = task_context.current()
        if context is None or context.cell_run == BACKGROUND:
            return None
        return directory(run_directory), About(int(context.task_id), context.attempt, context.name, context.worker)

    return place
