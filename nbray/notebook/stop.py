"""Owns what the Stop button means for the cluster's work, as far as it is decided in the notebook.

A cell that ended by an interrupt has its own tasks cancelled, wherever in its code the interrupt arrived. Work of other
cells goes on, and the cell says how to stop it.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from typing import Any

from nbray.notebook.cell_runs import CellRun, CellRuns
from nbray.notebook.wording import count_text
from nbray.snapshot import ClusterSnapshot


def was_interrupted(result: Any) -> bool:
    """Did this IPython result end by an interrupt? A cell that awaits is cancelled instead; one torn away has none."""
    if result is None:
        return True
    error = result.error_in_exec or result.error_before_exec
    return isinstance(error, (KeyboardInterrupt, asyncio.CancelledError))


def others_message(snapshot: ClusterSnapshot, stopped: CellRun, runs: CellRuns) -> str:
    """What still runs for other cells of this notebook, and how to stop it; "" when nothing does."""
    lines = []
    for counts in snapshot.cell_runs:
        run, left = runs.get(counts.cell_run), counts.waiting + counts.running
        if run is not None and run is not stopped and left:
            name = str(run.number) if runs.by_label(run.label) is run else "--all"
            lines.append(f"Cell {run.label} goes on ({count_text(left, 'task')}): %nbray cancel {name} stops it.\n")
    return "".join(lines)


class Shield:
    """Lets further interrupts pass by on the main thread, so that what a cell's end has to do is brought to its end.

    With `stays` it goes on after the block: an impatient second Stop must not hit ipykernel before its reply either, which
    would leave the cell running for ever on the page. ipykernel sets its own handler after the reply and before each cell.
    The handler is a Python function, not SIG_IGN, which child processes started meanwhile would inherit.
    """

    def __init__(self) -> None:
        self.stays = False
        self._before: Any = None

    def __enter__(self) -> Shield:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.getsignal(signal.SIGINT)
        if self._before is not None:
            signal.signal(signal.SIGINT, lambda number, frame: None)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None and not self.stays:
            signal.signal(signal.SIGINT, self._before)
