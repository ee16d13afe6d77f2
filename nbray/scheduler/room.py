"""What is done for a task whose turn it is and that no worker can take: a worker is forked, or resources are kept for it."""

from __future__ import annotations

from nbray.resources import GPU
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.fairness import Turns
from nbray.scheduler.gangs import Claim, Gangs
from nbray.scheduler.messages import Failure
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.pool import Pool, Shape
from nbray.scheduler.states import WorkerState
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker, cause
from nbray.scheduler.workers import MOST_WORKERS, Fleet

STARVED_SECONDS = 1.0
"""A task whose turn it is and for which resources are missing so long gets them before any other that needs them."""


class Room:
    """Makes room for tasks."""

    def __init__(
        self, turns: Turns, pool: Pool, fleet: Fleet, gangs: Gangs, outcomes: Outcomes, deadlines: Deadlines
    ) -> None:  # fmt: skip
        self._turns = turns
        self._pool = pool
        self._fleet = fleet
        self._gangs = gangs
        self._outcomes = outcomes
        self._deadlines = deadlines
        fleet.on_spoiled = self._give_up
        self._short: dict[Shape, float] = {}
        """Shapes whose turn has come and for which resources are missing, and since when."""

    def make(self, shape: Shape) -> None:
        """No worker can take this shape now: fork one if a process is all that is missing."""
        if not self._pool.fits(shape):
            if not shape.workers:
                self._wait_for_resources(shape)
        elif shape.hosts and not self._fleet.can_host:
            return
        elif shape.plain:
            self._fork_more(shape)
        else:
            self._start_special(shape)

    def found(self, shape: Shape) -> None:
        """A worker has taken a task of this shape."""
        self._short.pop(shape, None)

    def claim(self) -> Claim | None:
        """What must be left for a task or a gang that has waited for long."""
        starved = self._starved() if self._short else None
        return starved or (self._gangs.claim() if self._gangs.pending else None)

    # ---------------------------------------------------------------- resources

    def _wait_for_resources(self, shape: Shape) -> None:
        if shape not in self._short:
            self._short[shape] = self._deadlines.now
            self._deadlines.after(STARVED_SECONDS, _nothing)

    def _starved(self) -> Claim | None:
        """The claim of the shape that has waited longest, if that was long: what it lacks, or all of it if that is there.

        Not more: a task that holds some of it may wait for another one that needs the rest.
        """
        for shape in [shape for shape in self._short if not self._turns.has(shape)]:
            del self._short[shape]
        for shape, since in self._short.items():
            if self._deadlines.now - since >= STARVED_SECONDS:
                names = self._pool.missing(shape) or ([GPU] if shape.gpus else shape.amounts)
                return Claim(shape, frozenset(names), shape.reservoirs)
        return None

    # ---------------------------------------------------------------- workers

    def _fork_more(self, shape: Shape) -> None:
        fleet = self._fleet
        wanted = self._pool.how_many(shape, self._turns.count(shape)) - fleet.starting()
        for _ in range(min(wanted, fleet.room())):
            fleet.fork()
        if fleet.stuck():
            for task in [task for line in self._turns.lines() for task in line.tasks() if task.template.shape is shape]:
                self._outcomes.fail_queued(task, _too_deep(task))

    def _start_special(self, shape: Shape) -> None:
        """Workers with exactly the profile and the devices that are needed; idle ones that sit on these devices end."""
        starting = [one for one in self._fleet.special.values() if one.state is WorkerState.STARTING]
        wanted = self._pool.how_many(shape, self._turns.count(shape)) - sum(_competes(one, shape) for one in starting)
        for _ in range(min(wanted, self._fleet.special_room())):
            devices = self._pool.free_devices(shape, starting)
            if devices is None:
                self._wait_for_resources(shape)
                return
            self._clear(shape, devices)
            starting.append(self._fleet.fork(devices, profile=shape.profile, meant_for=shape))

    def _give_up(self, profile: bytes, exited: WorkerExited) -> None:
        """Workers with this profile end before they can start: so do the tasks that need one."""
        for task in [task for line in self._turns.lines() for task in line.tasks() if task.template.shape.profile == profile]:
            self._outcomes.fail_queued(task, _cannot_start(task, exited))

    def _clear(self, shape: Shape, devices: tuple[int, ...]) -> None:
        """Idle workers that see some of these devices, but cannot serve this shape, let go of them."""
        for worker in list(self._fleet.special.values()):
            if worker.state is not WorkerState.IDLE or set(devices).isdisjoint(worker.gpus):
                continue
            if worker.gpus != devices or worker.profile != shape.profile:
                self._fleet.exit(worker, "its GPUs are needed by a worker that sees others")


def _competes(starting: Worker, shape: Shape) -> bool:
    """Whether a worker that starts will serve this shape, or take what it would draw from."""
    meant = starting.meant_for
    if meant is None or set(meant.reservoirs).isdisjoint(shape.reservoirs):
        return False
    return starting.profile == shape.profile and bool(starting.gpus) == bool(shape.gpus)


def idle_special(pool: Pool, fleet: Fleet, shape: Shape) -> Worker | None:
    """An idle worker that has the profile of the shape and just the GPUs that it needs."""
    for worker in fleet.special.values():
        if worker.state is WorkerState.IDLE and worker.profile == shape.profile and pool.devices_fit(worker, shape):
            return worker
    return None


def _nothing() -> None:
    """The Tick itself is what is needed: `dispatch` runs after every event."""


def _cannot_start(task: Task, exited: WorkerExited) -> Failure:
    return Failure(
        "worker_died",
        f"{task.template.name} cannot run: workers with its runtime_env ended before they could start, the last one by "
        f"{cause(exited)}. Look at its env_vars. The worker's last lines:\n{exited.log_tail or '(none)'}",
        task=task.template.name, log_tail=exited.log_tail,
    )  # fmt: skip


def _too_deep(task: Task) -> Failure:
    return Failure(
        "infeasible",
        f"{task.template.name} cannot run: {MOST_WORKERS} workers all wait in nbray.get for tasks that were submitted inside "
        "tasks. Nest less deeply, or pass ObjectRefs on instead of waiting for them inside tasks.",
        task=task.template.name,
    )
