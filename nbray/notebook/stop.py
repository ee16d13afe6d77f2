"""Owns what the Stop button means for the cluster's work, as far as it is decided in the notebook.

An interrupt cancels the tasks of the cell that runs, wherever in its code it arrives. Work of other cells goes on, and the
cell says how to stop it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.snapshot import CellRunSnapshot
from nbray.wording import count_text


def was_interrupted(result: Any) -> bool:
    """Did this IPython result end by an interrupt? A cell that awaits is cancelled instead; one torn away has none."""
    if result is None:
        return True
    error = result.error_in_exec or result.error_before_exec
    return isinstance(error, (KeyboardInterrupt, asyncio.CancelledError))


def others_message(counted: Sequence[CellRunSnapshot], stopped: CellRun, runs: CellRuns) -> str:
    """What still runs for other cells of this notebook, and how to stop it; "" when nothing does."""
    lines = []
    for counts in counted:
        run, left = runs.get(counts.cell_run), counts.waiting + counts.running
        if run is not None and run is not stopped and left:
            name = str(run.number) if runs.by_label(run.label) is run else "--all"
            lines.append(f"Cell {run.label} goes on ({count_text(left, 'task')}): %nbray cancel {name} stops it.\n")
    return "".join(lines)


class Interrupts:
    """Hears the interrupts of a cell on the main thread: first of all it passes them on, at the cell's end none gets through.

    Hearing them matters where the cell's own code catches KeyboardInterrupt, or takes its time to clean up: Stop has been
    pressed all the same. At the end a further one must tear nothing, nor hit ipykernel before its reply, which would leave
    the cell running for ever on the page; ipykernel sets its own handler after the reply and before each cell.
    """

    def __init__(self) -> None:
        self.came = False
        self._passes = True
        self._tell: Callable[[], None] = lambda: None
        self._before: Any = None

    def watch(self, tell: Callable[[], None]) -> None:
        """A cell begins on this thread: call `tell` at each interrupt, inside the signal handler."""
        self.came, self._passes, self._tell = False, True, tell
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread() and callable(before) and before != self._hear:
            self._before = before
            signal.signal(signal.SIGINT, self._hear)

    def shield(self) -> None:
        """The cell's code has ended: let further interrupts pass by."""
        self._passes = False

    def release(self, *, stays: bool) -> None:
        """Give the signal back to whoever had it, unless the shield `stays` until ipykernel's reply."""
        if self._before is not None and not stays and signal.getsignal(signal.SIGINT) == self._hear:
            signal.signal(signal.SIGINT, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._passes:
            self.came = True
            self._tell()
            self._before(number, frame)
