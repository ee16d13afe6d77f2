"""Which queued task goes to which worker, and when another worker is forked for it.

A worker holds one lease of resources, for one shape of task, while it has tasks. It gets more tasks of that shape as long
as the work that waits inside it is known to be short (`prefetch_seconds`); a function that has never run, or a task
with a time limit, waits for an empty worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nbray.ids import ObjectId
from nbray.resources import GPU
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.fairness import Line, Turns
from nbray.scheduler.messages import MAX_FRAME, Failure, Inline, Run, RunSpec, Value
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.ownership import Objects
from nbray.scheduler.pool import Pool, Shape
from nbray.scheduler.processes import Outbox
from nbray.scheduler.registry import Registry
from nbray.scheduler.states import TaskState, WorkerState, move_task, move_worker
from nbray.scheduler.tasks import UNKNOWN, CallTemplate, Task
from nbray.scheduler.worker_queues import WorkerQueues
from nbray.scheduler.workers import MOST_WORKERS, Fleet, Worker

QUEUE_CAP = 512
"""Most tasks inside one worker."""
UNKNOWN_SECONDS = 0.1
"""For how long a task counts whose function has never run."""
RUN_BYTES = 64 * 1024 * 1024
"""Arguments in one Run message, beside inline ones: far below the largest frame."""
MOST_ARGUMENT_BYTES = MAX_FRAME - RUN_BYTES
"""Small objects that one task may depend on, in bytes."""
STARVED_SECONDS = 1.0
"""A task whose turn it is and for which resources are missing so long gets them before any other that needs them."""


class Placement:
    """Assigns tasks; `dispatch` is called once after every event."""

    def __init__(
        self, turns: Turns, pool: Pool, fleet: Fleet, objects: Objects, registry: Registry, outcomes: Outcomes,
        worker_queues: WorkerQueues, outbox: Outbox, deadlines: Deadlines, prefetch_seconds: float,
    ) -> None:  # fmt: skip
        self._turns = turns
        self._pool = pool
        self._fleet = fleet
        self._objects = objects
        self._registry = registry
        self._outcomes = outcomes
        self._worker_queues = worker_queues
        self._outbox = outbox
        self._deadlines = deadlines
        self._prefetch = prefetch_seconds
        self._alone_cost = max(UNKNOWN_SECONDS, 2 * prefetch_seconds)
        self._runs: dict[Worker, list[RunSpec]] = {}
        self._short: dict[Shape, float] = {}
        """Shapes whose turn has come and for which resources are missing, and since when."""

    # ---------------------------------------------------------------- dispatch

    def dispatch(self) -> None:
        """Assign what can be assigned, in fair order."""
        if self._turns:
            self._assign_all()
        if self._fleet.idle:
            self._worker_queues.steal()

    def _assign_all(self) -> None:
        full: set[Shape] = set()
        starved = self._starved() if self._short else None
        reserved = self._reserved(starved) if starved is not None else ()
        while (turn := self._turns.next(full)) is not None:
            line, shape = turn
            if reserved and shape is not starved and not shape.amounts.keys().isdisjoint(reserved):
                full.add(shape)
            elif (worker := self._worker_for(shape, line)) is not None:
                self._short.pop(shape, None)
                self._assign(worker, line, shape)
            else:
                full.add(shape)
                self._make_room(shape)
        for worker, specs in self._runs.items():
            assert worker.process is not None
            for portion in _portions(specs):
                self._outbox.send(worker.process.process_id, Run(portion))
        self._runs.clear()

    def _worker_for(self, shape: Shape, line: Line) -> Worker | None:
        """An idle worker if the resources are there, else one that holds them already and has little to do."""
        if self._pool.fits(shape):
            worker = self._idle_worker(shape)
            if worker is not None:
                return worker
        if not shape.workers:
            return None
        head = line.head(shape)
        assert head is not None
        best = min(shape.workers.values(), key=self._load)
        return best if self._load(best) + self._cost(head.template) <= self._prefetch else None

    def _load(self, worker: Worker) -> float:
        """Seconds of work inside a worker; more than any prefetch for one that is late or may take nothing now."""
        late = self._deadlines.now > worker.due + self._prefetch
        return UNKNOWN if late or worker.asked or len(worker.queue) >= QUEUE_CAP else worker.backlog

    def _idle_worker(self, shape: Shape) -> Worker | None:
        if shape.gpus:
            idle_with_gpus = (worker for worker in self._gpu_workers() if worker.state is WorkerState.IDLE)
            return next((worker for worker in idle_with_gpus if self._pool.devices_fit(worker, shape)), None)
        idle = self._fleet.idle
        return idle[next(reversed(idle))] if idle else None

    def _assign(self, worker: Worker, line: Line, shape: Shape) -> None:
        """Give a worker the next task of a line, and more while they are known to be short."""
        now = self._deadlines.now
        if worker.state is WorkerState.IDLE:
            self._fleet.idle.pop(worker.slot, None)
            move_worker(worker, WorkerState.BUSY)
            self._pool.lease(worker, shape)
            worker.due = worker.head_since = now
        queue, specs = worker.queue, self._runs.setdefault(worker, [])
        waiting = line.queues[shape]
        most = min(QUEUE_CAP - len(queue), self._even_part(len(waiting), shape))
        backlog, before, count = worker.backlog, worker.backlog, 0
        known, unknown = worker.templates, dict[CallTemplate, None]()
        queued, assigned = TaskState.QUEUED, TaskState.ASSIGNED  # an enum's member costs 0.1 us on Python 3.11
        while waiting and count < most:
            task = waiting.popleft()
            if task.state is not queued:
                continue
            template, spec = task.template, task.spec
            deps = self._objects.values(spec.deps) if spec.deps else []
            if deps and _size(deps) > MOST_ARGUMENT_BYTES:
                self._outcomes.fail_queued(task, _too_much(task, _size(deps)))
                continue
            cost = self._cost(template)
            if count and backlog + cost > self._prefetch:
                waiting.appendleft(task)
                break
            move_task(task, assigned)
            task.worker = worker
            task.charged = cost
            backlog += cost
            count += 1
            queue.append(task)
            if template.template_id not in known:
                unknown[template] = None
            specs.append(RunSpec(task.task_id, spec.template_id, task.attempt, spec.args, deps, bool(spec.payload)))
            if template.template.timeout:
                self._worker_queues.limit(worker, task)
        if unknown:
            self._registry.teach(worker, list(unknown))
        worker.backlog = backlog
        worker.due = max(worker.due, now) + backlog - before
        line.charge((backlog - before) * shape.share)
        self._turns.shrink(line, count)
        if not queue:
            self._worker_queues.progressed(worker)

    def _cost(self, template: CallTemplate) -> float:
        """Seconds that one task of it is expected to take; more than the prefetch allows when it must run alone."""
        mean = template.function.mean
        if mean == UNKNOWN or template.template.timeout:
            return self._alone_cost
        return mean

    def _even_part(self, count: int, shape: Shape) -> int:
        """How many of `count` tasks one worker gets, so that a few short ones spread over those that are idle."""
        idle = len(self._fleet.idle) if not shape.gpus else 0
        if not idle:
            return count
        others = self._pool.how_many(shape, idle)
        return -(-count // (1 + others))

    # ---------------------------------------------------------------- room

    def _make_room(self, shape: Shape) -> None:
        """No worker can take this shape now: fork one if a process is all that is missing."""
        if not self._pool.fits(shape):
            if not shape.workers:
                self._wait_for_resources(shape)
        elif shape.gpus:
            self._fork_with_gpus(shape)
        else:
            self._fork_more(shape)

    def _wait_for_resources(self, shape: Shape) -> None:
        if shape not in self._short:
            self._short[shape] = self._deadlines.now
            self._deadlines.after(STARVED_SECONDS, _nothing)

    def _starved(self) -> Shape | None:
        """The shape that has waited longest, if that was long: no other gets what it lacks."""
        for shape in [shape for shape in self._short if not self._turns.has(shape)]:
            del self._short[shape]
        return next((shape for shape, since in self._short.items() if self._deadlines.now - since >= STARVED_SECONDS), None)

    def _reserved(self, starved: Shape) -> list[str]:
        """What no other task gets before the starved one: what it lacks, and if that is there already, all of it.

        Not more: a task that holds some of it may wait for another one that needs the rest.
        """
        return self._pool.missing(starved) or ([GPU] if starved.gpus else list(starved.amounts))

    def _fork_more(self, shape: Shape) -> None:
        fleet = self._fleet
        wanted = self._pool.how_many(shape, self._turns.count(shape)) - fleet.starting()
        for _ in range(min(wanted, fleet.room())):
            fleet.fork()
        if fleet.stuck():
            for task in [task for line in self._turns.lines() for task in line.tasks() if task.template.shape is shape]:
                self._outcomes.fail_queued(task, _too_deep(task))

    def _fork_with_gpus(self, shape: Shape) -> None:
        """Workers that see exactly the devices that they need; idle ones that sit on these with others end."""
        starting = [worker for worker in self._gpu_workers() if worker.state is WorkerState.STARTING]
        wanted = self._pool.how_many(shape, self._turns.count(shape)) - len(starting)
        for _ in range(min(wanted, MOST_WORKERS - len(self._fleet.workers))):
            devices = self._pool.free_devices(shape, starting)
            if devices is None:
                self._wait_for_resources(shape)
                return
            for worker in self._gpu_workers():
                if worker.state is WorkerState.IDLE and worker.gpus != devices and not set(devices).isdisjoint(worker.gpus):
                    self._fleet.exit(worker, "its GPUs are needed by a worker that sees others")
            starting.append(self._fleet.fork(devices))
            starting[-1].meant_for = shape

    def _gpu_workers(self) -> list[Worker]:
        return [worker for worker in self._fleet.workers.values() if worker.gpus]


def _size(values: Iterable[tuple[ObjectId, Value]]) -> int:
    """The bytes of small values among these; the others travel as references to the store."""
    sizes = (len(value) if type(value) is bytes else len(value.data) if type(value) is Inline else 0 for _, value in values)
    return sum(sizes)


def _portions(specs: list[RunSpec]) -> Iterator[list[RunSpec]]:
    """The tasks in as many messages as the largest frame asks for."""
    portion: list[RunSpec] = []
    size = 0
    for spec in specs:
        if spec.deps:
            size += _size(spec.deps)
            if size > RUN_BYTES and portion:
                yield portion
                portion, size = [], _size(spec.deps)
        portion.append(spec)
    if portion:
        yield portion


def _nothing() -> None:
    """The Tick itself is what is needed: `dispatch` runs after every event."""


def _too_much(task: Task, size: int) -> Failure:
    return Failure(
        "refused",
        f"The arguments of {task.template.name} are {len(task.spec.deps):,} small objects of {size / 2**20:,.0f} MiB in all, and "
        f"at most {MOST_ARGUMENT_BYTES // 2**20} MiB can be sent with one task. Combine them in several steps, some at a time.",
        task=task.template.name,
    )


def _too_deep(task: Task) -> Failure:
    return Failure(
        "infeasible",
        f"{task.template.name} cannot run: {MOST_WORKERS} workers all wait in nbray.get for tasks that were submitted inside "
        "tasks. Nest less deeply, or pass ObjectRefs on instead of waiting for them inside tasks.",
        task=task.template.name,
    )
