"""What tasks print and display: passed on to the drivers of their cell's job, within a limit for each task."""

from __future__ import annotations

from nbray.ids import TaskId
from nbray.scheduler.cell_runs import CellRun, Job
from nbray.scheduler.messages import SKIPPED, Emitted, Output, rewrites_line
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker

MOST_RECORDS = 10_000
"""Tasks whose output is remembered, so that what their threads print later still finds its cell."""
TAIL_BYTES = 2048
TAIL_LINES = 20
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
    """Forwards output; a job without a driver gets it later, as far as it was kept."""

    def __init__(self, run_directory: str, limit: int, outbox: Outbox) -> None:
        self.records: dict[TaskId, Printed] = {}
        self._run_directory = run_directory
        self._limit = limit
        self._outbox = outbox

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

    def last_lines(self, task_id: TaskId) -> str:
        """The end of what a task has printed."""
        record = self.records.get(task_id)
        return "\n".join(record.tail.decode("utf-8", "replace").splitlines()[-TAIL_LINES:]) if record is not None else ""

    def catch_up(self, process: Process, job: Job) -> None:
        """A driver has joined: send it what the job's tasks printed while none was there."""
        for run in job.runs.values():
            for emitted in run.backlog:
                self._outbox.send(process.process_id, emitted)
            run.backlog, run.backlog_size = [], 0

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
        if not run.job.drivers and run.backlog_size + len(data) <= self._limit:
            run.backlog.append(emitted)
            run.backlog_size += len(data)

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
