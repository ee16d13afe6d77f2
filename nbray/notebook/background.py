"""Cells that run with `--bg`: their names are assigned between cells, on the main thread; failures go to their own cell."""

from __future__ import annotations

from queue import Empty, SimpleQueue
from typing import Any

from nbray.ids import TaskId
from nbray.notebook import cell_runs, cells, failures
from nbray.notebook.cells import RunningCell
from nbray.notebook.display import Display


class Background:
    """The cells of one shell that run with `--bg`; all but `_note_end` is called on the main thread.

    While a cell runs, nothing is assigned under its hands: what has ended meanwhile is taken over before the next cell.
    """

    def __init__(self, shell: Any, display: Display) -> None:
        self._shell = shell
        self._display = display
        self._loop = getattr(getattr(shell, "kernel", None), "io_loop", None)
        self._running: dict[TaskId, RunningCell] = {}
        """Kept until they are taken over: each holds the reference to what its cell brings back."""
        self._ended: SimpleQueue[TaskId] = SimpleQueue()

    def follow(self, running: RunningCell) -> None:
        """Take over what this cell brings back once it has ended."""
        task_id = running.ref.id
        self._running[task_id] = running
        running.backend.on_ready(task_id, lambda: self._note_end(task_id))

    def pre_run_cell(self, info: Any) -> None:
        """A cell begins: it finds the names of all background cells that have ended."""
        self.take_over()

    def take_over(self) -> None:
        """Assign the names of the cells that have ended."""
        while True:
            try:
                running = self._running.pop(self._ended.get_nowait())
            except Empty:
                return
            self._finish(running)

    def _note_end(self, task_id: TaskId) -> None:
        """On the backend's I/O thread."""
        self._ended.put(task_id)
        if self._loop is not None:
            self._loop.add_callback(self._take_over_when_idle)

    def _take_over_when_idle(self) -> None:
        if cell_runs.current() is None:
            self.take_over()

    def _finish(self, running: RunningCell) -> None:
        try:
            warning = cells.take_over(self._shell, running.cell, running.outcome())
        except BaseException as error:  # noqa: BLE001 - whatever the cell raised is its own failure, and shown there
            self._publish(running, "error", failures.error_content(self._shell, error))
        else:
            if warning:
                self._publish(running, "stream", {"name": "stderr", "text": warning})

    def _publish(self, running: RunningCell, kind: str, content: dict[str, Any]) -> None:
        self._display.publish(kind, content, None if running.run is None else running.run.parent)
