"""Snapshots of the cluster, with the reason in words why a cell run waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from nbray.resources import CPU, UNIT
from nbray.scheduler.cell_runs import CellRun, Jobs
from nbray.scheduler.extents import Extents
from nbray.scheduler.gangs import Gangs
from nbray.scheduler.ownership import Objects
from nbray.scheduler.pool import Pool, Shape
from nbray.scheduler.states import GangState, WorkerState
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet
from nbray.snapshot import ActorSnapshot, CellRunSnapshot, ClusterSnapshot, StoreSnapshot, WorkerSnapshot
from nbray.snapshot import WorkerState as StateName

RECENT_RUNS = 50
"""Cell runs without live tasks that are in each snapshot."""

_NAMES: dict[WorkerState, StateName] = {
    WorkerState.NEW: "starting",
    WorkerState.STARTING: "starting",
    WorkerState.IDLE: "idle",
    WorkerState.BUSY: "busy",
    WorkerState.BLOCKED: "blocked",
    WorkerState.STOPPING: "stopping",
    WorkerState.DEAD: "stopping",
    WorkerState.HOSTING: "busy",
}


class Pictures:
    """Reads every table and changes none."""

    def __init__(
        self, epoch: str, limit: int, jobs: Jobs, fleet: Fleet, pool: Pool, gangs: Gangs, objects: Objects,
        extents: Extents, actors: Callable[[], list[ActorSnapshot]],
    ) -> None:  # fmt: skip
        self._epoch = epoch
        self._limit = limit
        self._jobs = jobs
        self._fleet = fleet
        self._pool = pool
        self._gangs = gangs
        self._objects = objects
        self._extents = extents
        self._actors = actors
        self._sequence = 0

    def cluster(self, now: float) -> ClusterSnapshot:
        """All of it, with the cell runs that have live tasks and the last ones that had some."""
        self._sequence += 1
        runs = list(self._jobs.runs())
        live, ended = [run for run in runs if run.live], [run for run in runs if run.ended and not run.live]
        shown = {*live, *sorted(ended, key=lambda run: run.last_end)[-RECENT_RUNS:]}
        heads = self._heads()
        return ClusterSnapshot(
            sequence=self._sequence,
            epoch=self._epoch,
            resources=dict(self._pool.total),
            available={name: max(0, units) for name, units in self._pool.available.items()},
            store=StoreSnapshot(
                self._limit, self._extents.used, len(self._objects.entries), self._extents.inline, self._objects.spilled
            ),
            workers=[self._worker(self._fleet.workers[slot], now) for slot in sorted(self._fleet.workers)],
            cell_runs=self.of([run for run in runs if run in shown], now),
            actors=self._actors(),
            queued=sum(run.live for run in live) - sum(heads.values()),
            finished=sum(run.ended for run in runs),
        )

    def cell_runs(self, now: float) -> list[CellRunSnapshot]:
        """Every cell run that ever had a task, as far as they are kept."""
        return self.of([run for run in self._jobs.runs() if run.live or run.ended], now)

    def of(self, runs: Iterable[CellRun], now: float) -> list[CellRunSnapshot]:
        """These cell runs."""
        heads = self._heads()
        return [self._cell_run(run, heads[run], now) for run in runs]

    def _heads(self) -> Counter[CellRun]:
        """How many tasks of each cell run are running."""
        return Counter(task.run for worker in self._fleet.workers.values() for task in worker.running())

    def _worker(self, worker: Worker, now: float) -> WorkerSnapshot:
        running, state = list(worker.running()), worker.state
        assert isinstance(state, WorkerState)
        name = _NAMES[state] if running or state is not WorkerState.HOSTING else "idle"
        actor = worker.actor.label if worker.actor is not None else ""
        if not running:
            return WorkerSnapshot(worker.slot, worker.pid, name, actor=actor)
        head = running[0]
        return WorkerSnapshot(
            worker.slot, worker.pid, name, task=head.template.name, cell_run=head.run.cell_run, actor=actor,
            running_for=max(0.0, now - worker.head_since), queued=worker.inside - len(running),
        )  # fmt: skip

    def _cell_run(self, run: CellRun, running: int, now: float) -> CellRunSnapshot:
        return CellRunSnapshot(
            run.cell_run, run.label, run.job.name, waiting=run.live - running, running=running, succeeded=run.succeeded,
            failed=run.failed, cancelled=run.cancelled, run_seconds=run.run_seconds, elapsed=run.elapsed(now),
            waits_for=self._reason(run, running), first_failure=run.first_failure,
        )  # fmt: skip

    # ---------------------------------------------------------------- why

    def _reason(self, run: CellRun, running: int) -> str:
        """Why the next task of a cell run does not run; empty when some of its tasks run or none wait."""
        if running or not run.live:
            return ""
        task = next(run.queued(), None)
        if task is None:
            waiting = next(iter(run.waiting.values()), None)
            if waiting is not None and waiting.template.template.gang in self._gangs.pending:
                return "its placement group, for which resources are not free yet"
            return "its inputs, which other tasks have not made yet" if waiting is not None else ""
        shape = task.template.shape
        short = self._pool.missing(shape)
        if short:
            return self._held(short[0], shape, run)
        if shape.hosts and not self._fleet.can_host:
            return f"the end of another actor: there are {len(self._fleet.hosts)}, and more do not fit into one cluster"
        return "a worker that is starting" if self._fleet.starting() else "a worker"

    def _held(self, resource: str, shape: Shape, run: CellRun) -> str:
        """ "all CPUs held by cell [4]", or how much is free of what it needs."""
        holders = [
            worker for worker in self._fleet.workers.values()
            if worker.reservoir in shape.reservoirs and _holds(worker, resource)
        ]  # fmt: skip
        names = dict.fromkeys(self._name(worker, run) for worker in holders)
        names.update(dict.fromkeys(self._reserving(resource, shape)))
        available = max(0, *(reservoir.available.get(resource, 0) for reservoir in shape.reservoirs))
        what = f"{resource}s" if resource in (CPU, "GPU") else resource
        if available:
            needed = shape.amounts[resource] / UNIT
            part = f"{needed:g} {what}, {available / UNIT:g} free"
        else:
            part = f"all {what}"
        return f"{part}, held by {_join(names)}" if names and available else f"{part} held by {_join(names)}" if names else part

    def _reserving(self, resource: str, shape: Shape) -> list[str]:
        """The gangs for which this resource was set aside, where the shape does not draw from one itself."""
        if self._pool.cluster not in shape.reservoirs:
            return []
        gangs = [gang for gang in self._gangs.gangs.values() if gang.state is GangState.RESERVED]
        return [f"the placement group {gang.name}" for gang in gangs if any(resource in bundle.total for bundle in gang.bundles)]

    @staticmethod
    def _name(worker: Worker, run: CellRun) -> str:
        if worker.actor is not None:
            return f"the actor {worker.actor.label}"
        holder = worker.head.run if worker.head is not None else run
        return "its own tasks" if holder is run else holder.name


def _holds(worker: Worker, resource: str) -> bool:
    shape = worker.shape
    return shape is not None and resource in shape.amounts and not (resource == CPU and worker.gave_cpus)


def _join(names: Iterable[str]) -> str:
    words = list(names)
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:2])} and {len(words) - 2} more"
