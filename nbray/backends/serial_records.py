"""What the serial backend remembers of its tasks: counts by cell run, and the last ones for lists."""

from __future__ import annotations

import time
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

from nbray.engine import task_context
from nbray.ids import NO_TASK, CellRunId, ObjectId, TaskId
from nbray.snapshot import CellRunSnapshot, TaskSnapshot

MOST_RECORDS = 10_000

SUCCEEDED, FAILED, CANCELLED = "succeeded", "failed", "cancelled"


class SerialRecords:
    """All that ended here."""

    def __init__(self) -> None:
        self.labels: dict[CellRunId, str] = {}
        self.attempts: deque[TaskSnapshot] = deque(maxlen=MOST_RECORDS)
        """The last one first."""
        self._ended: defaultdict[CellRunId, Counter[str]] = defaultdict(Counter)
        self._micros: Counter[CellRunId] = Counter()
        self._failures: dict[CellRunId, str] = {}

    def note(
        self, task_id: TaskId, name: str, cell_run: CellRunId, worker: str, attempt: int, began: float,
        error: BaseException | None, *, again: bool, kind: str, actor: ObjectId,
    ) -> None:  # fmt: skip
        """An attempt has ended."""
        now, context = time.monotonic(), task_context.current()
        self._micros[cell_run] += int((now - began) * 1e6)
        self.attempts.appendleft(
            TaskSnapshot(
                task_id, name, "FINISHED" if error is None else "FAILED", cell_run, self.labels.get(cell_run, ""), "", worker,
                attempt, NO_TASK if context is None else context.task_id, began, now, _type(error), _first_line(error), again,
                actor, kind,
            )
        )  # fmt: skip

    def end(self, name: str, cell_run: CellRunId, how: str, error: BaseException | None = None) -> None:
        """A task has ended."""
        self._ended[cell_run][how] += 1
        if error is not None:
            self._failures.setdefault(cell_run, f"{name}: {_type(error)}: {_first_line(error)}")

    def count(self, cell_runs: Sequence[CellRunId] | None = None) -> int:
        """How many tasks have ended, of these cell runs or of all."""
        return sum(sum(counts.values()) for run, counts in self._ended.items() if cell_runs is None or run in cell_runs)

    def cell_runs(self) -> list[CellRunSnapshot]:
        """Every cell run that had a task."""
        return [self._cell_run(run, counts) for run, counts in self._ended.items()]

    def _cell_run(self, run: CellRunId, counts: Counter[str]) -> CellRunSnapshot:
        seconds = self._micros[run] * 1e-6
        return CellRunSnapshot(
            run, self.labels.get(run, ""), "", succeeded=counts[SUCCEEDED], failed=counts[FAILED], cancelled=counts[CANCELLED],
            run_seconds=seconds, elapsed=seconds, first_failure=self._failures.get(run, ""),
        )  # fmt: skip


def _type(error: BaseException | None) -> str:
    return "" if error is None else type(error).__name__


def _first_line(error: BaseException | None) -> str:
    return "" if error is None else str(error).strip().partition("\n")[0]
