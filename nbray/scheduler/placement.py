"""Which queued task goes to which worker, how much known-short work waits inside a worker, and when it is taken back.

A worker holds one lease of resources, for one shape of task, while it has tasks. It gets more tasks of that shape as long
as the work that waits inside it is known to be short (`prefetch_seconds`); a function that has never run, or a task
with a time limit, waits for an empty worker. What a worker was given and has not started comes back when the
worker blocks, when one of its tasks is cancelled, and when another worker idles while this one is slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from nbray.ids import TaskId
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.fairness import Line, Turns
from nbray.scheduler.messages import Failure, Run, RunSpec, TakeBack
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.ownership import Objects
from nbray.scheduler.pool import Pool, Shape
from nbray.scheduler.processes import Outbox
from nbray.scheduler.registry import Registry
from nbray.scheduler.states import TaskState, WorkerState, move_task, move_worker
from nbray.scheduler.tasks import UNKNOWN, CallTemplate, Task
from nbray.scheduler.workers import MOST_WORKERS, Fleet, Worker

QUEUE_CAP = 512
"""Most tasks inside one worker."""
UNKNOWN_SECONDS = 0.1
"""For how long a task counts whose function has never run."""
STEAL_SECONDS = 0.002
"""Work that a slow worker has longer than this is worth a message when another worker idles."""
STARVED_SECONDS = 1.0
"""A task whose turn it is and for which resources are missing so long gets them before any other that needs them."""

OnTimeout = Callable[[Task, int], None]


class Placement:
    """Assigns tasks; `dispatch` is called once after every event."""

    def __init__(
        self, turns: Turns, pool: Pool, fleet: Fleet, objects: Objects, registry: Registry, outcomes: Outcomes,
        outbox: Outbox, deadlines: Deadlines, prefetch_seconds: float,
    ) -> None:  # fmt: skip
        self._turns = turns
        self._pool = pool
        self._fleet = fleet
        self._objects = objects
        self._registry = registry
        self._outcomes = outcomes
        self._outbox = outbox
        self._deadlines = deadlines
        self._prefetch = prefetch_seconds
        self._alone_cost = max(UNKNOWN_SECONDS, 2 * prefetch_seconds)
        self._runs: dict[Worker, list[RunSpec]] = {}
        self._short: dict[Shape, float] = {}
        """Shapes whose turn has come and for which resources are missing, and since when."""
        self._looking = False
        """A look at slow workers is due."""
        self.on_timeout: OnTimeout = lambda task, attempt: None

    # ---------------------------------------------------------------- dispatch

    def dispatch(self) -> None:
        """Assign what can be assigned, in fair order."""
        if self._turns:
            self._assign_all()
        if self._fleet.idle:
            self._steal()

    def _assign_all(self) -> None:
        full: set[Shape] = set()
        starved = self._starved() if self._short else None
        reserved = (self._pool.missing(starved) or list(starved.amounts)) if starved is not None else ()
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
            self._outbox.send(worker.process.process_id, Run(specs))
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
        best = min(shape.workers.values(), key=_load)
        fits = best.backlog + self._cost(head.template) <= self._prefetch and len(best.queue) < QUEUE_CAP and not best.asked
        return best if fits else None

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
        while waiting and count < most:
            task = waiting.popleft()
            if task.state is not TaskState.QUEUED:
                continue
            template = task.template
            cost = self._cost(template)
            if count and backlog + cost > self._prefetch:
                waiting.appendleft(task)
                break
            move_task(task, TaskState.ASSIGNED)
            task.worker = worker
            task.charged = cost
            backlog += cost
            count += 1
            queue.append(task)
            if template.template_id not in known:
                unknown[template] = None
            spec = task.spec
            deps = self._objects.values(spec.deps) if spec.deps else []
            specs.append(RunSpec(task.task_id, spec.template_id, task.attempt, spec.args, deps, bool(spec.payload)))
            if template.template.timeout:
                self._deadlines.after(template.template.timeout, partial(self.on_timeout, task, task.attempt))
        if unknown:
            self._registry.teach(worker, list(unknown))
        worker.backlog = backlog
        worker.due = max(worker.due, now) + backlog - before
        line.charge((backlog - before) * shape.share)
        self._turns.shrink(line, count)

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
                return
            for worker in self._gpu_workers():
                if worker.state is WorkerState.IDLE and worker.gpus != devices and not set(devices).isdisjoint(worker.gpus):
                    self._fleet.exit(worker, "its GPUs are needed by a worker that sees others")
            starting.append(self._fleet.fork(devices))
            starting[-1].meant_for = shape

    def _gpu_workers(self) -> list[Worker]:
        return [worker for worker in self._fleet.workers.values() if worker.gpus]

    # ---------------------------------------------------------------- take back

    def ask_back(self, worker: Worker, tasks: Iterable[Task]) -> None:
        """Ask for tasks that the worker may not have started: always the end of its queue, or all of it.

        A part from the middle would leave it unknown, should the worker die, whether that part was run or taken out.
        """
        task_ids = [task.task_id for task in tasks]
        if task_ids and worker.process is not None and worker.state is not WorkerState.STOPPING:
            worker.asked += 1
            self._outbox.send(worker.process.process_id, TakeBack(task_ids))

    def close(self, worker: Worker) -> None:
        """Nothing new for a worker that may be killed."""
        worker.closed = True
        if worker.shape is not None:
            worker.shape.workers.pop(worker.slot, None)

    def _reopen(self, worker: Worker) -> None:
        if any(task.state is TaskState.CANCELLING for task in worker.queue):
            return
        worker.closed = False
        if worker.shape is not None and worker.open and worker.state is WorkerState.BUSY:
            worker.shape.workers[worker.slot] = worker

    def taken_back(self, worker: Worker, task_ids: Iterable[TaskId]) -> None:
        """The worker has not started these and will not."""
        worker.asked -= 1
        wanted = set(task_ids)
        returned = [task for task in worker.queue if task.task_id in wanted]
        kept = [task for task in worker.queue if task.task_id not in wanted]
        worker.queue.clear()
        worker.queue.extend(kept)
        worker.backlog -= sum(task.charged for task in returned)
        self._outcomes.give_back([task for task in returned if task.state is TaskState.ASSIGNED])
        for task in returned:
            if task.state is TaskState.CANCELLING:
                assert task.verdict is not None
                self._outcomes.fail(task, task.verdict)

    def _steal(self) -> None:
        """Take back half of what waits inside a worker that is slower than thought, while another one idles."""
        now = self._deadlines.now
        for worker in self._fleet.workers.values():
            if len(worker.queue) < 2 or worker.asked or worker.state is not WorkerState.BUSY:
                continue
            assert worker.shape is not None
            if worker.gpus or not self._pool.fits(worker.shape):
                continue
            if abs(worker.due - now) > STEAL_SECONDS:
                self.ask_back(worker, list(worker.queue)[-(len(worker.queue) // 2) :])
            elif not self._looking:
                self._looking = True
                self._deadlines.after(worker.due - now + 2 * STEAL_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._looking = False

    # ---------------------------------------------------------------- what workers say

    def blocked(self, worker: Worker, task_id: TaskId) -> None:
        """The running task waits for objects: its CPUs are free, and nothing may wait behind it."""
        head = worker.head
        if worker.state is WorkerState.BUSY and head is not None and head.task_id == task_id:
            move_worker(worker, WorkerState.BLOCKED)
            self._pool.block(worker)
            self.ask_back(worker, list(worker.queue)[1:])

    def unblocked(self, worker: Worker) -> None:
        """It goes on."""
        if worker.state is WorkerState.BLOCKED:
            move_worker(worker, WorkerState.BUSY)
            self._pool.unblock(worker)

    def progressed(self, worker: Worker) -> None:
        """The worker's queue has become shorter: an empty one ends its lease."""
        worker.head_since = self._deadlines.now
        if worker.closed:
            self._reopen(worker)
        if worker.queue or worker.state not in (WorkerState.BUSY, WorkerState.BLOCKED):
            return
        self.unblocked(worker)
        self._pool.release(worker)
        self._fleet.make_idle(worker)


def _load(worker: Worker) -> float:
    return worker.backlog if not worker.asked and len(worker.queue) < QUEUE_CAP else UNKNOWN


def _nothing() -> None:
    """The Tick itself is what is needed: `dispatch` runs after every event."""


def _too_deep(task: Task) -> Failure:
    return Failure(
        "infeasible",
        f"{task.template.name} cannot run: {MOST_WORKERS} workers all wait in nbray.get for tasks that were submitted inside "
        "tasks. Nest less deeply, or pass ObjectRefs on instead of waiting for them inside tasks.",
        task=task.template.name,
    )
