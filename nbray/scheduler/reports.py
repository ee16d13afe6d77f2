"""What workers say of the tasks and calls that they have: ended, not begun, waiting, printing."""

from __future__ import annotations

from nbray.scheduler.actors import Actors
from nbray.scheduler.cancellation import Cancellation
from nbray.scheduler.messages import Blocked, Finished, Output, TakenBack, Unblocked
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.output import OutputDesk
from nbray.scheduler.processes import Process
from nbray.scheduler.worker_queues import WorkerQueues


class Reports:
    """Passes on what a worker says to whom it concerns: the actor that it hosts, or its queue of tasks."""

    def __init__(
        self, outcomes: Outcomes, actors: Actors, worker_queues: WorkerQueues, cancellation: Cancellation, output: OutputDesk
    ) -> None:
        self._outcomes = outcomes
        self._actors = actors
        self._worker_queues = worker_queues
        self._cancellation = cancellation
        self._output = output

    def finished(self, process: Process, message: Finished) -> None:
        """Results."""
        worker = process.worker
        if worker is None:
            return
        if worker.actor is not None:
            self._actors.finished(worker, worker.actor, message.results)
            return
        self._outcomes.finished(worker, message.results)
        self._worker_queues.progressed(worker)
        self._cancellation.look_at(worker)

    def taken_back(self, process: Process, message: TakenBack) -> None:
        """Tasks that it has not begun and will not; of an actor, its creation as long as that was asked for, else calls."""
        worker = process.worker
        if worker is None:
            return
        if worker.actor is not None and not worker.asked:
            self._actors.taken_back(worker.actor, message.task_ids)
            return
        self._worker_queues.taken_back(worker, message.task_ids)
        if worker.actor is None:
            self._worker_queues.shortened(worker)
            self._cancellation.look_at(worker)
        elif worker.queue:
            self._cancellation.look_at(worker)

    def blocked(self, process: Process, message: Blocked) -> None:
        """A task waits for objects."""
        worker = process.worker
        if worker is not None and worker.actor is not None:
            self._actors.blocked(worker, worker.actor)
        elif worker is not None:
            self._worker_queues.blocked(worker, message.task_id)

    def unblocked(self, process: Process, message: Unblocked) -> None:
        """It goes on."""
        worker = process.worker
        if worker is not None and worker.actor is not None:
            self._actors.unblocked(worker, worker.actor)
        elif worker is not None:
            self._worker_queues.unblocked(worker)

    def printed(self, process: Process, message: Output) -> None:
        """Output."""
        if process.worker is not None:
            self._output.forward(process.worker, message)
