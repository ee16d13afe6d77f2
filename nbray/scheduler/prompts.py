"""What tasks ask a person: which task waits for a line of input, who is to answer, how long it has waited.

A task waits in an Ask ("prompt") of its worker, whose Answer is what a driver of its job says by another Ask ("reply"). Its
time limit stands still meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from nbray.ids import ProcessId, TaskId
from nbray.scheduler.cell_runs import Job
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.messages import PROMPT, Answer, Ask, Output
from nbray.scheduler.output import OutputDesk
from nbray.scheduler.processes import Contradiction, Outbox, Process
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_queues import WorkerQueues
from nbray.scheduler.worker_records import Worker
from nbray.unreadable import UNREADABLE

NOBODY = "no notebook is connected that could answer"
ENDED = "its task has ended, and a thread of it cannot ask"
MOST_WAITS = 1000
"""Tasks that have been answered and whose waits are remembered."""


class Prompt(NamedTuple):
    """One task that waits for an answer."""

    process: ProcessId
    request_id: int
    job: Job
    worker: Worker
    since: float


class Prompts:
    """The tasks that wait for a person."""

    def __init__(self, output: OutputDesk, worker_queues: WorkerQueues, outbox: Outbox, deadlines: Deadlines) -> None:
        self._output = output
        self._worker_queues = worker_queues
        self._outbox = outbox
        self._deadlines = deadlines
        self._open: dict[TaskId, Prompt] = {}
        self._waited: dict[TaskId, float] = {}
        """Seconds of all earlier waits of a task."""

    def ask(self, process: Process, message: Ask) -> None:
        """A task waits for a line; where its job has no driver it is told so at once. What waits behind it comes back."""
        task_id, worker = TaskId(message.argument), process.worker
        job = None if worker is None else self._output.job_of(worker, task_id)
        if worker is None or job is None:
            self._outbox.send(process.process_id, _answer(message.request_id, {"refused": ENDED}))
            return
        self._open[task_id] = Prompt(process.process_id, message.request_id, job, worker, self._deadlines.now)
        if not job.drivers:
            self._answer(task_id, {"refused": NOBODY})
            return
        self._output.forward(worker, Output(task_id, PROMPT, message.text.encode()))
        if worker.actor is None and not worker.asked:
            self._worker_queues.ask_back(worker, list(worker.queue)[1:])

    def reply(self, message: Ask) -> dict[str, bool]:
        """What a person says, as JSON of `{"text": ...}` or `{"refused": why}`; whether somebody still waited for it."""
        task_id = TaskId(message.argument)
        waits = self.waits(task_id)
        if waits and message.text:
            try:
                answer = msgspec.json.decode(message.text, type=dict[str, str])
            except UNREADABLE as error:
                raise Contradiction(f"a reply to a task that is none: {error}") from error
            self._answer(task_id, answer)
        return {"waits": waits}

    def waits(self, task_id: TaskId) -> bool:
        """Whether the task still runs and waits for an answer."""
        prompt = self._open.get(task_id)
        if prompt is None:
            return False
        worker = prompt.worker
        running: Iterable[TaskId] = () if worker.actor is None else worker.actor.running
        lives = not worker.left and (task_id in running or any(task.task_id == task_id for task in worker.queue))
        if not lives:
            self._end(task_id)
        return lives

    def waited(self, task: Task) -> float:
        """Seconds for which the task has waited for a person so far."""
        prompt = self._open.get(task.task_id)
        now = 0.0 if prompt is None else self._deadlines.now - prompt.since
        return self._waited.get(task.task_id, 0.0) + now

    def left(self, process: Process) -> None:
        """A worker has gone, or a driver: when none of its job is there any more, nobody will answer."""
        for task_id, prompt in list(self._open.items()):
            if prompt.process == process.process_id:
                self._end(task_id)
            elif prompt.job is process.job and not prompt.job.drivers:
                self._answer(task_id, {"refused": NOBODY})

    def _answer(self, task_id: TaskId, body: dict[str, str]) -> None:
        prompt = self._end(task_id)
        self._outbox.send(prompt.process, _answer(prompt.request_id, body))

    def _end(self, task_id: TaskId) -> Prompt:
        prompt = self._open.pop(task_id)
        self._waited[task_id] = self._waited.get(task_id, 0.0) + self._deadlines.now - prompt.since
        if len(self._waited) > MOST_WAITS:
            del self._waited[next(iter(self._waited))]
        return prompt


def _answer(request_id: int, body: dict[str, str]) -> Answer:
    return Answer(request_id, msgspec.msgpack.encode(body))
