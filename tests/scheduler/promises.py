"""What a cluster promises about time: who is cancelled or has used up its time ends soon, whatever it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbray.ids import TaskId
from nbray.scheduler.messages import RunSpec
from nbray.scheduler.states import TaskState, WorkerState
from nbray.scheduler.worker_records import Worker

if TYPE_CHECKING:
    from tests.scheduler.simulated_workers import SimulatedWorker
    from tests.scheduler.world import World

SOON = 2.0
"""More than the grace after a cancel and what a kill by force may take together."""

Attempt = tuple[TaskId, int]


class Promises:
    """Looks at what runs in a simulated world, between two events at which nothing is overdue."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: dict[Attempt, float] = {}
        """Since when each attempt with a time limit is known to run."""
        self._ending: dict[Attempt, float] = {}
        """Since when each attempt is known to have been cancelled, or to have used up its time."""

    def check(self) -> None:
        """Raise AssertionError where something runs that should have ended."""
        world = self._world
        deadline = world.scheduler.next_deadline()
        if deadline is not None and deadline <= world.now:
            return
        running, ending = self._running, self._ending
        self._running, self._ending = {}, {}
        for worker in world.workers.values():
            known, spec = world.scheduler._fleet.workers[worker.slot], worker.running
            if spec is None or not (worker.alive and worker.linked) or known.state is WorkerState.STOPPING:
                continue
            if worker.hosted is not None:
                self._check_call(worker, known, spec)
                continue
            attempt, head, limit = (spec.task_id, spec.attempt), known.head, worker.known[spec.template_id].timeout
            ends = head is not None and head.task_id == spec.task_id and head.state is TaskState.CANCELLING
            if limit:
                self._running[attempt] = running.get(attempt, world.now)
                ends = ends or world.now > self._running[attempt] + limit
            if ends:
                self._ending[attempt] = ending.get(attempt, world.now)
                assert world.now - self._ending[attempt] < SOON, f"{head} runs on, cancelled or after its time limit"

    def _check_call(self, worker: SimulatedWorker, known: Worker, spec: RunSpec) -> None:
        """A cancelled call is interrupted as soon as its worker has said all, where calls run one by one."""
        actor = known.actor
        call = actor.running.get(spec.task_id) if actor is not None else None
        if call is None or actor is None or actor.concurrent or call.state is not TaskState.CANCELLING:
            return
        if not (worker.inbox or worker.outbox or worker.reports):
            assert self._world.cancel_words.get(worker.slot) == spec.task_id, f"{call} was cancelled and not interrupted"
