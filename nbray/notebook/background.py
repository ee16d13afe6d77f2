"""Cells that run with `--bg`: their names are assigned between cells, on the main thread; failures go to their own cell."""

from __future__ import annotations

from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from nbray.backends.backend import Backend
from nbray.ids import TaskId
from nbray.notebook import cell_runs, failures
from nbray.notebook.cell_runs import CellRun
from nbray.notebook.display import Display
from nbray.objects import ObjectRef


class Awaited(Protocol):
    """A cell that runs; who has one holds the reference to what it brings back."""

    @property
    def refs(self) -> Sequence[ObjectRef]:
        """The results of its tasks."""

    @property
    def backend(self) -> Backend:
        """Where it runs."""

    @property
    def run(self) -> CellRun | None:
        """Its cell run."""

    def take_over(self, shell: Any) -> str:
        """Wait for what it brings back, and assign it; raises what it raised. Returns a warning, or ""."""


class Background:
    """The cells of one shell that run with `--bg`; all but `_note_end` is called on the main thread.

    While a cell runs, nothing is assigned under its hands: what has ended meanwhile is taken over before the next cell.
    """

    def __init__(self, shell: Any, display: Display) -> None:
        self._shell = shell
        self._display = display
        self._loop = getattr(getattr(shell, "kernel", None), "io_loop", None)
        self._running: dict[TaskId, Awaited] = {}
        """By the first of its tasks. Kept until they are taken over: each holds the references to what its cell brings back."""
        self._left: dict[TaskId, int] = {}
        """How many tasks of each have not ended, as far as the main thread has heard."""
        self._ended: SimpleQueue[TaskId] = SimpleQueue()

    def follow(self, running: Awaited) -> None:
        """Take over what this cell brings back once it has ended."""
        if running.run is not None:
            running.run.behind = True
        key = running.refs[0].id
        self._running[key], self._left[key] = running, len(running.refs)
        for ref in running.refs:
            running.backend.on_ready(ref.id, lambda: self._note_end(key))

    def pre_run_cell(self, info: Any) -> None:
        """A cell begins: it finds the names of all background cells that have ended."""
        self.take_over()

    def take_over(self) -> None:
        """Assign the names of the cells that have ended."""
        while True:
            try:
                key = self._ended.get_nowait()
            except Empty:
                return
            self._left[key] -= 1
            if not self._left[key]:
                del self._left[key]
                self._finish(self._running.pop(key))

    def _note_end(self, key: TaskId) -> None:
        """A task has ended; on the backend's I/O thread."""
        self._ended.put(key)
        if self._loop is not None:
            self._loop.add_callback(self._take_over_when_idle)

    def _take_over_when_idle(self) -> None:
        if cell_runs.current() is None:
            self.take_over()

    def _finish(self, running: Awaited) -> None:
        try:
            warning = running.take_over(self._shell)
        except BaseException as error:  # noqa: BLE001 - whatever the cell raised is its own failure, and shown there
            self._publish(running, "error", failures.error_content(self._shell, error))
        else:
            if warning:
                self._publish(running, "stream", {"name": "stderr", "text": warning})

    def _publish(self, running: Awaited, kind: str, content: dict[str, Any]) -> None:
        self._display.publish(kind, content, None if running.run is None else running.run.parent)
