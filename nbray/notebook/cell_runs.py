"""Owns which cell run is now, and the record of earlier ones: what late output and cards need to find their cell."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbray.ids import CellRunId, TaskId

if TYPE_CHECKING:
    from nbray.backends.backend import Written
    from nbray.notebook.ranks import Rank

MAX_RUNS = 2000


@dataclass(eq=False)
class CellRun:
    """One run of one cell, from its execute_request on."""

    id: CellRunId
    """The msg_id of the execute_request."""
    number: int
    """The execution count, as shown beside the cell."""
    parent: Mapping[str, Any] | None
    """What messages for this cell carry as their parent; None where there is no kernel."""
    thread: int
    """The thread that runs the cell's code; 0 where an earlier kernel has begun it."""
    ended: bool = False
    behind: bool = False
    """Its work goes on while other cells run: `--bg`."""
    began: float = field(default_factory=time.perf_counter)
    source: str = ""
    """Its code, as long as it runs."""
    starting: float = 0.0
    """Seconds that its cluster took to start, where it has started one."""
    waited: float = 0.0
    """Seconds that it waited for other cells in its namespace before it was sent there."""
    written: Written | None = None
    """What this process had put into the store when the cell began."""
    own_tasks: set[TaskId] = field(default_factory=set)
    """Tasks that run the code of a `%%remote` cell itself; what they print bears no prefix."""
    ranks: dict[TaskId, Rank] = field(default_factory=dict)
    """Tasks that run the cell as one of several ranks."""
    rank_failures: dict[TaskId, str] = field(default_factory=dict)
    """What those that failed raised, as far as the notebook has heard of it."""
    arrange: Callable[[], None] = lambda: None
    """Shows all output of the cell rank by rank, once its ranks have ended; waits until that is done."""

    @property
    def label(self) -> str:
        """ "[4]"."""
        return f"[{self.number}]"

    @property
    def display_id(self) -> str:
        """Names the card of this cell run on the page."""
        return f"nbray-card-{self.id}"


class CellRuns:
    """The runs of this kernel's cells, the latest `MAX_RUNS` of them; any thread may ask.

    Cells run one after the other on the main thread, but a cell may run code as a cell of its own (same request), and a
    subshell may run one beside it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: OrderedDict[CellRunId, CellRun] = OrderedDict()
        self._active: list[tuple[CellRun, int]] = []
        """Runs that have begun, with how deep they are nested; the last is the current one."""

    def begin(self, run: CellRun) -> CellRun:
        """A cell begins; returns the run on record if its request has begun already."""
        with self._lock:
            for index, (active, depth) in enumerate(self._active):
                if active.id == run.id:
                    self._active[index] = (active, depth + 1)
                    return active
            # A thread runs one cell at a time: one that never ended here was torn away by a second interrupt.
            self._active = [pair for pair in self._active if pair[0].thread != run.thread]
            self._active.append((run, 1))
            self._runs[run.id] = run
            while len(self._runs) > MAX_RUNS:
                self._runs.popitem(last=False)
            return run

    def adopt(self, run: CellRun) -> CellRun:
        """Put a run of an earlier kernel on record, before all of this one's; one that is there is shown in the new place."""
        with self._lock:
            known = self._runs.get(run.id)
            if known is not None:
                known.parent = run.parent
                return known
            self._runs[run.id] = run
            self._runs.move_to_end(run.id, last=False)
            return run

    def end(self, cell_run: CellRunId) -> CellRun | None:
        """A cell's code has ended; returns its run, or None while an outer cell of the same request goes on."""
        with self._lock:
            for index, (active, depth) in enumerate(self._active):
                if active.id == cell_run:
                    if depth > 1:
                        self._active[index] = (active, depth - 1)
                        return None
                    del self._active[index]
                    active.ended = True
                    return active
            return None

    @property
    def current(self) -> CellRun | None:
        """The run of the cell whose code runs now; None between cells."""
        with self._lock:
            return self._active[-1][0] if self._active else None

    def of_thread(self, thread: int) -> CellRun | None:
        """The run whose code this thread runs now."""
        with self._lock:
            return next((run for run, _ in reversed(self._active) if run.thread == thread), None)

    def get(self, cell_run: CellRunId) -> CellRun | None:
        """The run with this id, if it is on record."""
        return self._runs.get(cell_run)

    def latest(self) -> CellRun | None:
        """The run that began last."""
        with self._lock:
            return next(reversed(self._runs.values()), None)

    def by_label(self, label: str) -> CellRun | None:
        """The latest run with this execution count: "4" or "[4]"."""
        wanted = label.strip().removeprefix("[").removesuffix("]")
        with self._lock:
            return next((run for run in reversed(self._runs.values()) if str(run.number) == wanted), None)

    def is_own_task(self, cell_run: CellRunId, task_id: TaskId) -> bool:
        """Is this the task that runs the code of a `%%remote` cell itself?"""
        run = self._runs.get(cell_run)
        return run is not None and task_id in run.own_tasks


RUNS = CellRuns()
"""The runs of this process's cells."""


def current() -> CellRun | None:
    """The run of the cell whose code runs now; None between cells and outside a notebook."""
    return RUNS.current


def by_label(label: str) -> CellRun | None:
    """The latest run with this execution count: "4" or "[4]"."""
    return RUNS.by_label(label)
