"""What tasks print and display: passed on to the drivers of their cell's job, and kept, within limits."""

from __future__ import annotations

from nbray.ids import NO_TASK, TaskId
from nbray.scheduler.cell_runs import CellRun, Job
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.messages import AGAIN, SKIPPED, Emitted, Output, rewrites_line
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker

MOST_RECORDS = 10_000
"""Tasks whose output is remembered, so that what their threads print later still finds its cell."""
TAIL_BYTES = 2048
TAIL_LINES = 20
UNSEEN_SECONDS = 1.0
"""What came so shortly before a driver left counts as not seen."""
MOST_KEPT = 32 * 1024 * 1024
"""Bytes of output that are kept of all cell runs together, to be shown again."""
_TEXT = ("stdout", "stderr")


class Printed:
    """What one task has printed so far."""

    __slots__ = ("hidden", "passed", "run", "tail", "task", "told", "worker")

    def __init__(self, run: CellRun, task: str, worker: Worker) -> None:
        self.run = run
        self.task = task
        self.worker = worker.name
        self.passed = 0
        """Bytes of text passed on."""
        self.hidden = 0
        """Bytes beyond the limit, and how many of them its cell has been told of."""
        self.told = 0
        self.tail = b""
        """The end of its text, for the error if its worker dies."""


class OutputDesk:
    """Forwards output, and keeps the latest of each cell run for drivers that were not there."""

    def __init__(self, run_directory: str, limit: int, outbox: Outbox, deadlines: Deadlines) -> None:
        self.records: dict[TaskId, Printed] = {}
        self._run_directory = run_directory
        self._limit = limit
        self._outbox = outbox
        self._deadlines = deadlines
        self._kept: dict[CellRun, None] = {}
        """Cell runs of which something is kept; the one that printed last is the last."""
        self._kept_bytes = 0

    def forward(self, worker: Worker, message: Output) -> None:
        """Pass on one piece of output; text beyond the task's limit is only counted."""
        record = self._record(worker, message.task_id)
        if record is None:
            return
        data = message.data
        if message.stream == SKIPPED:
            record.hidden += int(data) if len(data) < 20 and data.isdigit() else 0
            return
        if message.stream in _TEXT:
            record.tail = (record.tail + data)[-TAIL_BYTES:]
            room = self._limit - record.passed
            if len(data) > room:
                data, cut = _cut(data, room)
                if not record.hidden:
                    data += self._notice(record, worker).encode()
                record.hidden += cut
            record.passed += 0 if rewrites_line(message.data) else len(message.data)
        if data:
            self._deliver(message.task_id, record, message.stream, data)

    def end(self, task: Task, worker: Worker) -> None:
        """The task has ended: say how much of its output was hidden."""
        record = self.records.get(task.task_id)
        if record is not None and record.hidden > record.told:
            text = f"\n[nbray] {record.hidden:,} bytes more of {record.task} went to {self._log(worker)}\n"
            record.told = record.hidden
            self._deliver(task.task_id, record, "stderr", text.encode())

    def finish(self, task: Task, worker: Worker) -> None:
        """The same for one whose worker lives and has reported it: nobody will ask for its last lines."""
        self.end(task, worker)
        record = self.records.get(task.task_id)
        if record is not None:
            record.tail = b""

    def last_lines(self, task_id: TaskId) -> str:
        """The end of what a task has printed."""
        record = self.records.get(task_id)
        return "\n".join(record.tail.decode("utf-8", "replace").splitlines()[-TAIL_LINES:]) if record is not None else ""

    def job_of(self, worker: Worker, task_id: TaskId) -> Job | None:
        """The job whose drivers get the output of this task of the worker; None where it is not known any more."""
        record = self._record(worker, task_id)
        return None if record is None else record.run.job

    def miss(self, job: Job, parted: float | None) -> None:
        """The job's last driver has gone: nobody has seen what its tasks print since it `parted`, or was killed without a word.

        What came shortly before may not have been shown any more: it was on its way, or the page had turned to the next kernel.
        """
        since = (self._deadlines.now if parted is None else parted) - UNSEEN_SECONDS
        for run in job.runs.values():
            if run.live and run.missed_from is None:
                run.missed_from = since

    def show_again(self, process: Process, run: CellRun, since: float) -> None:
        """Send a driver what was kept of a cell run since then, behind a piece which says that this comes."""
        cut = run.output.cut
        self._outbox.send(process.process_id, Emitted(NO_TASK, run.cell_run, "", "", AGAIN, str(cut).encode()))
        for emitted in run.output.since(since):
            self._outbox.send(process.process_id, emitted)

    def _record(self, worker: Worker, task_id: TaskId) -> Printed | None:
        record = self.records.get(task_id)
        if record is None:
            origin = _origin(worker, task_id)
            if origin is None:
                return None
            record = self.records[task_id] = Printed(*origin, worker)
            if len(self.records) > MOST_RECORDS:
                del self.records[next(iter(self.records))]
        record.worker = worker.name
        return record

    def _deliver(self, task_id: TaskId, record: Printed, stream: str, data: bytes) -> None:
        run = record.run
        emitted = Emitted(task_id, run.cell_run, record.task, record.worker, stream, data)
        for process_id in run.job.drivers:
            self._outbox.send(process_id, emitted)
        self._keep(run, emitted)

    def _keep(self, run: CellRun, emitted: Emitted) -> None:
        self._kept.pop(run, None)
        self._kept[run] = None
        before = run.output.size
        run.output.add(emitted, self._deadlines.now)
        self._kept_bytes += run.output.size - before
        if self._kept_bytes > MOST_KEPT:
            self._make_room(run)

    def _make_room(self, latest: CellRun) -> None:
        """The oldest records go, until half of the room is free. Those of forgotten cell runs are empty by now."""
        total = sum(run.output.size for run in self._kept)
        for run in list(self._kept):
            if total <= MOST_KEPT // 2:
                break
            if run is not latest:
                total -= run.output.size
                run.output.give_up()
                del self._kept[run]
        self._kept_bytes = total

    def _notice(self, record: Printed, worker: Worker) -> str:
        shown = self._limit // 1024
        return f"\n[nbray] {record.task} has printed {shown} KiB; what follows goes to {self._log(worker)} only\n"

    def _log(self, worker: Worker) -> str:
        return f"{self._run_directory}/logs/worker-{worker.slot}.log"


def _origin(worker: Worker, task_id: TaskId) -> tuple[CellRun, str] | None:
    """Cell run and name of a task that the worker has, or has had lately."""
    for task in worker.queue:
        if task.task_id == task_id:
            return task.run, task.template.name
    call = worker.actor.running.get(task_id) if worker.actor is not None else None
    if call is not None:
        return call.run, call.template.name
    return next(((ended[1], ended[2]) for ended in reversed(worker.ended) if ended[0] == task_id), None)


def _cut(data: bytes, room: int) -> tuple[bytes, int]:
    """The first bytes, not more than `room` and not in the middle of a character, and how many were cut off."""
    room = max(0, room)
    while room and data[room] & 0xC0 == 0x80:
        room -= 1
    return data[:room], len(data) - room
