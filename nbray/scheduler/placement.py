"""Which queued task goes to which worker, and when another worker is forked for it.

A worker holds one lease of resources, for one shape of task, while it has tasks. It gets more tasks of that shape as long
as the work that waits inside it is known to be short (`prefetch_seconds`); a function that has never run, or a task
with a time limit, waits for an empty worker.
"""

from __future__ import annotations

from collections.abc import Callable

from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.fairness import Line, Turns
from nbray.scheduler.gangs import Claim, Gangs
from nbray.scheduler.messages import Run, RunSpec
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.ownership import Objects
from nbray.scheduler.pool import Pool, Shape
from nbray.scheduler.portions import MOST_ARGUMENT_BYTES, portions, size_of, too_much
from nbray.scheduler.processes import Outbox
from nbray.scheduler.registry import Registry
from nbray.scheduler.room import Room, idle_special
from nbray.scheduler.states import TaskState, WorkerState, move_task, move_worker
from nbray.scheduler.tasks import UNKNOWN, CallTemplate, Task
from nbray.scheduler.worker_queues import WorkerQueues
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet

QUEUE_CAP = 512
"""Most tasks inside one worker."""
_QUEUED, _ASSIGNED, _IDLE, _BUSY = TaskState.QUEUED, TaskState.ASSIGNED, WorkerState.IDLE, WorkerState.BUSY
"""An enum's member costs 0.1 us on Python 3.11."""
UNKNOWN_SECONDS = 0.1
"""For how long a task counts whose function has never run."""


class Placement:
    """Assigns tasks; `dispatch` is called once after every event."""

    def __init__(
        self, turns: Turns, pool: Pool, fleet: Fleet, gangs: Gangs, objects: Objects, registry: Registry, outcomes: Outcomes,
        worker_queues: WorkerQueues, outbox: Outbox, deadlines: Deadlines, prefetch_seconds: float,
    ) -> None:  # fmt: skip
        self._turns = turns
        self._pool = pool
        self._fleet = fleet
        self._gangs = gangs
        self._objects = objects
        self._registry = registry
        self._outcomes = outcomes
        self._worker_queues = worker_queues
        self._outbox = outbox
        self._deadlines = deadlines
        self._prefetch = prefetch_seconds
        self._alone_cost = max(UNKNOWN_SECONDS, 2 * prefetch_seconds)
        self._runs: dict[Worker, list[RunSpec]] = {}
        self._room = Room(turns, pool, fleet, gangs, outcomes, deadlines)
        self.on_host: Callable[[Worker, Task], None] = lambda worker, creation: None
        """What makes an idle worker the actor's whose creation is about to be sent to it."""

    # ---------------------------------------------------------------- dispatch

    def dispatch(self) -> None:
        """Assign what can be assigned, in fair order."""
        if self._gangs.pending:
            self._gangs.reserve()
        if self._turns:
            self._assign_all()
        queues = self._worker_queues
        if queues.prefetched and (self._fleet.idle or queues.spare):
            queues.steal()

    def _assign_all(self) -> None:
        full: set[Shape] = set()
        claim = self._room.claim()
        while self._assign_next(full, claim):
            pass
        for worker, specs in self._runs.items():
            assert worker.process is not None
            for portion in (specs,) if len(specs) == 1 else portions(specs):
                self._outbox.send(worker.process.process_id, Run(portion))
        self._runs.clear()

    def _assign_next(self, full: set[Shape], claim: Claim | None) -> bool:
        """Give the first in turn what there is a worker for; False when nobody can have anything. Fills `full`."""
        for line, shape in self._turns.in_order(full):
            if claim is not None and claim.bars(shape):
                full.add(shape)
            elif (worker := self._worker_for(shape, line)) is not None:
                self._room.found(shape)
                if shape.hosts:
                    self._host(worker, line, shape)
                else:
                    self._assign(worker, line, shape)
                return True
            else:
                full.add(shape)
                self._room.make(shape)
        return False

    def _worker_for(self, shape: Shape, line: Line) -> Worker | None:
        """An idle worker if the resources are there, else one that holds them already and has little to do."""
        if self._pool.fits(shape) and (not shape.hosts or self._fleet.can_host):
            worker = self._idle_worker(shape)
            if worker is not None:
                return worker
        if not shape.workers or self._objects.crowded:
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
        if not shape.plain:
            return idle_special(self._pool, self._fleet, shape)
        idle = self._fleet.idle
        return idle[next(reversed(idle))] if idle else None

    def _assign(self, worker: Worker, line: Line, shape: Shape) -> None:
        """Give a worker the next task of a line, and more while they are known to be short."""
        now = self._deadlines.now
        if worker.state is _IDLE:
            self._fleet.idle.pop(worker.slot, None)
            move_worker(worker, _BUSY)
            self._pool.lease(worker, shape)
            worker.due = worker.head_since = now
        queue, specs = worker.queue, self._runs.setdefault(worker, [])
        waiting = line.queues[shape]
        alone = len(waiting) == 1 or self._objects.crowded
        most = 1 if alone else min(QUEUE_CAP - len(queue), self._even_part(len(waiting), shape))
        backlog, before, count = worker.backlog, worker.backlog, 0
        known, unknown = worker.templates, dict[CallTemplate, None]()
        queued, assigned = _QUEUED, _ASSIGNED
        while waiting and count < most:
            task = waiting.popleft()
            if task.state is not queued:
                continue
            template, spec = task.template, task.spec
            deps = self._objects.values(spec.deps) if spec.deps else []
            if deps and size_of(deps) > MOST_ARGUMENT_BYTES:
                self._outcomes.fail_queued(task, too_much(task, size_of(deps)))
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
            if template.watched and self._watch(worker, task):
                break
        if unknown:
            self._registry.teach(worker, list(unknown))
        worker.backlog = backlog
        worker.due = max(worker.due, now) + backlog - before
        line.charge((backlog - before) * shape.share)
        self._turns.shrink(line, count)
        if len(queue) > 1:
            self._worker_queues.prefetched = True
            self._worker_queues.spare = self._worker_queues.spare or self._pool.fits(shape)
        elif not queue:
            self._worker_queues.progressed(worker)

    def _host(self, worker: Worker, line: Line, shape: Shape) -> None:
        """Give an idle worker to the actor whose creation is next, for as long as that lives."""
        creation = line.head(shape)
        assert creation is not None
        line.queues[shape].popleft()
        spec, template = creation.spec, creation.template
        deps = self._objects.values(spec.deps) if spec.deps else []
        if deps and size_of(deps) > MOST_ARGUMENT_BYTES:
            self._outcomes.fail_queued(creation, too_much(creation, size_of(deps)))
            return
        move_task(creation, TaskState.ASSIGNED)
        creation.worker = worker
        worker.head_since = self._deadlines.now
        worker.queue.append(creation)
        self.on_host(worker, creation)
        self._pool.lease(worker, shape)
        shape.workers.pop(worker.slot, None)
        if template.template_id not in worker.templates:
            self._registry.teach(worker, [template])
        run = RunSpec(creation.task_id, spec.template_id, creation.attempt, spec.args, deps, bool(spec.payload))
        self._runs.setdefault(worker, []).append(run)
        self._turns.shrink(line, 1)

    def _watch(self, worker: Worker, task: Task) -> bool:
        """A task with a time limit, or of a function with a limit of calls; True when the worker gets nothing after it."""
        template = task.template.template
        if template.timeout:
            self._worker_queues.limit(worker, task)
        if template.max_calls:
            calls = worker.calls[template.function_key] = worker.calls.get(template.function_key, 0) + 1
            if calls >= template.max_calls:
                self._fleet.let_leave(worker, f"it has run {template.name} {calls} times, which is its max_calls")
        return bool(worker.leaving)

    def _cost(self, template: CallTemplate) -> float:
        """Seconds that one task of it is expected to take; more than the prefetch allows when it must run alone."""
        mean = template.function.mean
        if mean == UNKNOWN or template.template.timeout:
            return self._alone_cost
        return mean

    def _even_part(self, count: int, shape: Shape) -> int:
        """How many of `count` tasks one worker gets, so that a few short ones spread over those that are idle."""
        idle = len(self._fleet.idle) if shape.plain else 0
        if not idle:
            return count
        others = self._pool.how_many(shape, idle)
        return -(-count // (1 + others))
