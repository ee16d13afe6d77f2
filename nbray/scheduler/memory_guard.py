"""Ends a task before the system ends somebody: the one that grew most, once hardly any memory is left.

The system would choose by size, which may hit the notebook. A task that was ended here runs again by itself, when as much
memory is free as it had taken, for a few times; if it ran alone it would only fill the machine again, so it fails at once.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import NamedTuple

from nbray.scheduler.events import WorkerExited
from nbray.scheduler.messages import Failure
from nbray.scheduler.retries import Retries
from nbray.scheduler.states import TaskState, WorkerState, move_task
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet

MOST_SPARE = 2 << 30
"""On a large machine, the last so many bytes count as "hardly any", however small a part that is."""
LEAST_GROWTH = 16 << 20
RERUNS = 3
"""How often a task runs again that was ended for its memory while others ran beside it."""


class _Held(NamedTuple):
    """A task that waits for memory: which attempt, and how much it had taken."""

    task: Task
    attempt: int
    growth: int


class MemoryGuard:
    """Looks at one sample of everybody's memory after another."""

    def __init__(self, threshold: float, fleet: Fleet, retries: Retries) -> None:
        self._threshold = threshold
        self._fleet = fleet
        self._retries = retries
        self._began: dict[int, tuple[int, int, int]] = {}
        """By slot: the task and attempt that ran there at the last look, and the worker's bytes when it began."""
        self._last: dict[int, int] = {}
        self._ending: Worker | None = None
        """Until its worker is gone, memory is on its way back, and nobody else is ended."""
        self._ended: dict[Task, int] = {}
        """The tasks that are to run again: how much they had grown when they were ended."""
        self._times: dict[Task, int] = {}
        self._held: list[_Held] = []
        retries.on_again = self._hold

    def look(self, available: int, total: int, used: Mapping[int, int]) -> None:
        """So many bytes are free of all that may be used, and so many each worker has taken, by slot."""
        growth = self._growths(used)
        spare = min(MOST_SPARE, int(total * (1 - self._threshold)))
        if available >= spare:
            self._release(available - spare)
        elif self._ending is None or self._ending.state is WorkerState.DEAD:
            self._end_largest(growth, available, total, used)

    def explained(self, exited: WorkerExited) -> WorkerExited:
        """The same end of a worker, with the reason if it was this guard; what its task comes to is settled already."""
        worker = self._ending
        if worker is None or self._fleet.workers.get(exited.slot) is not worker:
            return exited
        if exited.signal != signal.SIGKILL:
            self._take_back(worker)
        if worker.actor is None:
            return exited
        return exited._replace(out_of_memory=self._last.get(exited.slot) or 1)

    def _growths(self, used: Mapping[int, int]) -> dict[int, int]:
        """By slot, how much the running task, or the actor, has taken since it began."""
        least = min(used.values(), default=0)
        began: dict[int, tuple[int, int, int]] = {}
        growths = {}
        for slot, size in used.items():
            worker = self._fleet.workers.get(slot)
            running = _running(worker) if worker is not None else None
            if running is None:
                continue
            before = self._began.get(slot)
            if before is None or before[:2] != running:
                before = *running, self._last.get(slot, least)
            began[slot] = before
            growths[slot] = size - before[2]
        self._began, self._last = began, dict(used)
        return growths

    def _end_largest(self, growths: dict[int, int], available: int, total: int, used: Mapping[int, int]) -> None:
        least = max(LEAST_GROWTH, total // 100)
        sizes = [(worker, growths.get(slot, 0)) for slot, worker in self._fleet.workers.items()]
        grown = [(worker.actor is None, growth, worker.slot) for worker, growth in sizes if growth >= least]
        if not grown:
            return
        _, _, slot = max(grown)  # a task before an actor, whose state would be lost
        worker = self._fleet.workers[slot]
        task = worker.head
        if worker.state is WorkerState.STOPPING or (task is not None and task.state is not TaskState.ASSIGNED):
            return
        self._ending = worker
        if type(task) is Task:
            self._sentence(task, _failure(task, worker, growths[slot], available, total, used[slot]), growths[slot])
        self._fleet.kill(worker)

    def _sentence(self, task: Task, failure: Failure, growth: int) -> None:
        """Let the task run again, or fail with its worker."""
        self._times = {task: times for task, times in self._times.items() if task.state <= TaskState.CANCELLING}
        alone = sum(worker.head is not None for worker in self._fleet.workers.values()) == 1
        times = self._times[task] = self._times.get(task, 0) + 1
        if alone or times > RERUNS:
            move_task(task, TaskState.CANCELLING)
            task.verdict = failure
            return
        self._ended[task] = growth
        if task.retries >= 0:
            task.retries += 1  # this one does not count

    def _take_back(self, worker: Worker) -> None:
        """The worker had ended by itself before it was killed: its task runs again only if it may for other reasons."""
        for task in worker.queue:
            if type(task) is Task and self._ended.pop(task, None) is not None and task.retries > 0:
                task.retries -= 1

    def _hold(self, task: Task) -> bool:
        """Whether a task that is to run again waits for memory."""
        growth = self._ended.pop(task, None)
        if growth is None:
            return False
        self._held.append(_Held(task, task.attempt, growth))
        return True

    def _release(self, available: int) -> None:
        """Let those tasks run for which there is room, and one at least where nothing else runs."""
        busy = any(worker.head is not None for worker in self._fleet.workers.values())
        held, self._held = self._held, []
        for one in held:
            if not busy or one.growth <= available:
                busy = True
                available -= one.growth
                self._retries.end_wait(one.task, one.attempt)
            else:
                self._held.append(one)


def _running(worker: Worker) -> tuple[int, int] | None:
    """What runs in a worker, and which attempt at it; of an actor, all its calls are one."""
    if worker.actor is not None:
        return worker.actor.actor_id, worker.actor.restarts
    return (worker.head.task_id, worker.head.attempt) if worker.head is not None else None


def _failure(task: Task, worker: Worker, growth: int, available: int, total: int, size: int) -> Failure:
    return Failure(
        "out_of_memory",
        f"{task.template.name} was ended because the memory ran out: it had grown by {growth / 1e6:,.0f} MB, to "
        f"{size / 1e6:,.0f} MB on {worker.name}, and of {total / 1e6:,.0f} MB only {max(0, available) / 1e6:,.0f} MB were left. "
        "Give each task less data, or let fewer run at once: .options(num_cpus=2), or .options(memory=...) with what it needs.",
        task=task.template.name, worker=worker.name, attempt=task.attempt,
    )  # fmt: skip

