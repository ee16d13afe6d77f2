"""Jobs and their cell runs: the records that outlive a kernel, and what each cell run's tasks have come to."""

from __future__ import annotations

from collections.abc import Iterator

from nbray.ids import BACKGROUND, CellRunId, ObjectId, ProcessId, TaskId
from nbray.scheduler.fairness import Line, Share
from nbray.scheduler.messages import Failure
from nbray.scheduler.output_record import OutputRecord
from nbray.scheduler.ownership import Objects
from nbray.scheduler.processes import Process
from nbray.scheduler.tasks import Task

MOST_RECORDS = 500
"""Cell runs of one job that are kept after their last task; then the oldest go, with what only they held."""
MOST_NOTES = 1024 * 1024
"""Bytes of notes that are kept of one cell run."""


class CellRun:
    """One run of one cell."""

    __slots__ = (
        "began", "cancelled", "cell_run", "failed", "first_failure", "held", "job", "label", "last_end", "line", "lines", "live",
        "missed_from", "nests", "notes", "output", "run_seconds", "succeeded", "templates", "waiting",
    )  # fmt: skip

    def __init__(self, job: Job, cell_run: CellRunId) -> None:
        self.job = job
        self.cell_run = cell_run
        self.label = ""
        self.line = Line(job.share)
        """Its queued tasks, but for those with a priority."""
        self.lines: dict[int, Line] = {0: self.line}
        """All of them, by priority."""
        self.live = 0
        """Accepted tasks that have not ended."""
        self.waiting: dict[TaskId, Task] = {}
        """Those of them that wait for dependencies."""
        self.nests = False
        """Whether any of its tasks submitted tasks."""
        self.templates = 0
        """Registered templates of this cell run."""
        self.succeeded = 0
        self.failed = 0
        self.cancelled = 0
        self.began: float | None = None
        """When its first task was submitted."""
        self.last_end = 0.0
        self.run_seconds = 0.0
        self.first_failure = ""
        self.held: set[ObjectId] = set()
        """References that a driver left behind."""
        self.output = OutputRecord()
        self.missed_from: float | None = None
        """Since when nobody has seen what it prints: its job's last driver left while it had live tasks, and no other one has
        asked for it since."""
        self.notes: list[bytes] = []
        """What a driver left for its successors to know of it."""

    def __repr__(self) -> str:
        return f"<cell run {self.name}: {self.live} live tasks>"

    def note(self, note: bytes) -> None:
        """Keep a note, unless there are too many."""
        if sum(map(len, self.notes)) + len(note) <= MOST_NOTES:
            self.notes.append(note)

    def line_of(self, priority: int) -> Line:
        """Where its tasks of this priority queue."""
        line = self.lines.get(priority)
        if line is None:
            line = self.lines[priority] = Line(self.job.share, priority)
        return line

    def queued(self) -> Iterator[Task]:
        """Its tasks that wait for a worker."""
        for line in self.lines.values():
            yield from line.tasks()

    @property
    def name(self) -> str:
        """What people call it."""
        return self.label or str(self.cell_run)

    @property
    def ended(self) -> int:
        """How many of its tasks have ended."""
        return self.succeeded + self.failed + self.cancelled

    def count_new(self, tasks: int, now: float) -> None:
        """So many tasks were accepted."""
        self.live += tasks
        if self.began is None:
            self.began = now

    def count_results(self, tasks: int, seconds: float, now: float) -> None:
        """So many tasks have ended with a result; `seconds` is the run time of all that were reported."""
        self.live -= tasks
        self.succeeded += tasks
        self.run_seconds += seconds
        self.last_end = now

    def elapsed(self, now: float) -> float:
        """Seconds from the first submission to the end of the last task."""
        if self.began is None:
            return 0.0
        return max(0.0, (now if self.live else self.last_end) - self.began)

    def count_failure(self, task: Task, failure: Failure, now: float) -> None:
        """One task has ended without a result."""
        self.live -= 1
        self.last_end = now
        if failure.kind == "cancelled":
            self.cancelled += 1
            return
        self.failed += 1
        if not self.first_failure:
            first_line = failure.message.strip().split("\n", 1)[0]
            what = f"{failure.type_name}: {first_line}" if failure.type_name else first_line
            self.first_failure = f"{task.template.name}: {what}"


class Job:
    """One notebook or script, over any number of kernels."""

    __slots__ = ("drivers", "name", "namespace", "runs", "share")

    def __init__(self, name: str) -> None:
        self.name = name
        self.namespace = name
        """Where its named actors are found unless it says otherwise."""
        self.share = Share()
        self.drivers: dict[ProcessId, Process] = {}
        self.runs: dict[CellRunId, CellRun] = {}

    def __repr__(self) -> str:
        return f"<job {self.name!r}: {len(self.drivers)} drivers, {len(self.runs)} cell runs>"


class Jobs:
    """All jobs that ever joined."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._jobs: dict[str, Job] = {}

    def job(self, name: str) -> Job:
        """The job of this name."""
        if name not in self._jobs:
            self._jobs[name] = Job(name)
        return self._jobs[name]

    def run(self, job: Job, cell_run: CellRunId) -> CellRun:
        """The record of a cell run; the oldest ones make room for a new one."""
        run = job.runs.get(cell_run)
        if run is None:
            run = job.runs[cell_run] = CellRun(job, cell_run)
            if len(job.runs) > MOST_RECORDS:
                self._make_room(job, run)
        return run

    def inherit(self, job: Job, process: Process) -> None:
        """A driver is gone without a goodbye: its references pass to the records of the cell runs that they came from."""
        background = self.run(job, BACKGROUND)
        for object_id in process.held:
            run = self._objects.entries[object_id].run
            keeper = run if run is not None and job.runs.get(run.cell_run) is run else background
            if object_id in keeper.held:
                self._objects.unpin((object_id,))
            keeper.held.add(object_id)
        process.held = set()

    def release(self, run: CellRun) -> None:
        """Nothing is kept for this cell run any more."""
        held, run.held = run.held, set()
        self._objects.unpin(held)

    def runs(self) -> Iterator[CellRun]:
        """Every record, oldest first in each job."""
        for job in self._jobs.values():
            yield from job.runs.values()

    def drivers_by_job(self) -> dict[str, int]:
        """How many drivers of each job are connected."""
        return {name: len(job.drivers) for name, job in self._jobs.items()}

    def drivers(self) -> int:
        """How many drivers are connected."""
        return sum(len(job.drivers) for job in self._jobs.values())

    def live(self) -> int:
        """How many tasks have not ended."""
        return sum(run.live for run in self.runs())

    def _make_room(self, job: Job, new: CellRun) -> None:
        over = [
            run for run in job.runs.values()
            if not (run.live or run.templates or run is new or run.cell_run == BACKGROUND)
        ][: len(job.runs) - MOST_RECORDS]  # fmt: skip
        for run in over:
            del job.runs[run.cell_run]
            run.output.clear()
            self.release(run)
