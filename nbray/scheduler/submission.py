"""How tasks enter: from specs to tasks that wait for dependencies or stand in a line."""

from __future__ import annotations

from collections.abc import Mapping

from nbray.ids import ObjectId, TaskId
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.fairness import Turns
from nbray.scheduler.messages import Failure, TaskSpec
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.ownership import ObjectEntry, Objects, lost
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.registry import Registry
from nbray.scheduler.states import TaskState, move_task
from nbray.scheduler.tasks import CallTemplate, Task


def maker(process: Process) -> tuple[Task | None, Mapping[TaskId, Task] | None]:
    """The task that submits what comes from this process; for an actor with several calls at a time these, by their ids."""
    worker = process.worker
    if worker is None:
        return None, None
    actor = worker.actor
    return worker.head, actor.running if actor is not None and actor.concurrent and not worker.queue else None


def run_of(template: CallTemplate, parent: Task | None, several: Mapping[TaskId, Task] | None) -> CellRun:
    """The cell run of what a task submits: its own, but for one of `several` calls that names another, as it may."""
    if parent is None or (several is not None and parent.run.cell_run != template.run.cell_run):
        return template.run
    return parent.run


class Submission:
    """Takes in what processes submit."""

    def __init__(
        self, objects: Objects, registry: Registry, turns: Turns, outcomes: Outcomes, outbox: Outbox, deadlines: Deadlines
    ) -> None:
        self._objects = objects
        self._registry = registry
        self._turns = turns
        self._outcomes = outcomes
        self._outbox = outbox
        self._deadlines = deadlines

    def submit(self, process: Process, specs: list[TaskSpec]) -> None:
        """Accept tasks; the process holds one reference to each of their returns.

        What a task submits belongs to that task's cell run; what a task submits that is being cancelled is cancelled.
        """
        parent, several = maker(process)
        template: CallTemplate | None = None
        run: CellRun | None = None
        batch: list[Task] = []
        entries, held, queued = self._objects.entries, process.held, TaskState.QUEUED
        for spec in specs:
            if several is not None and (parent is None or parent.task_id != spec.parent):
                self._queue(template, run, batch)
                parent, template, batch = several.get(spec.parent), None, []
            if template is None or template.template_id != spec.template_id:
                self._queue(template, run, batch)
                batch = []
                template = self._registry.templates.get(spec.template_id)
                if template is None:
                    self.refuse(process, spec)
                    continue
                run = run_of(template, parent, several)
            assert run is not None
            task_id = spec.task_id
            entry = entries[task_id] = ObjectEntry(task_id, 2, run)
            task = entry.task = Task(task_id, spec, template, run, entry, template.template.max_retries)
            held.add(task_id)
            if parent is None and template.plain and not spec.deps and not spec.nested:
                move_task(task, queued)
                batch.append(task)
            elif self.accept(process, task, parent):
                batch.append(task)
        self._queue(template, run, batch)

    def submit_one(self, process: Process, task: Task, parent: Task | None) -> None:
        """Accept a task that is not like most; its first entry is there and held."""
        if self.accept(process, task, parent):
            self._queue(task.template, task.run, [task])

    def resubmit(self, task: Task) -> None:
        """A task of the scheduler's own, whose dependencies are there, comes before others of its cell run."""
        self._count(task)
        if task.template.infeasible:
            self._outcomes.fail(task, Failure("infeasible", task.template.infeasible, task=task.template.name))
            return
        move_task(task, TaskState.QUEUED)
        self._turns.put_back(task.line, task.template.shape, task)

    def end_at_once(self, process: Process, task: Task, failure: Failure) -> None:
        """Accept a task, and end it."""
        self._add_returns(process, task)
        task.spec.deps, task.spec.nested = [], []
        self._count(task)
        self._outcomes.fail(task, failure)

    def _queue(self, template: CallTemplate | None, run: CellRun | None, batch: list[Task]) -> None:
        """Put neighbouring tasks of one template into the line of their cell run."""
        if batch:
            assert template is not None
            assert run is not None
            template.live += len(batch)
            run.count_new(len(batch), self._deadlines.now)
            self._turns.add(run.line_of(template.priority), template.shape, batch)

    def accept(self, process: Process, task: Task, parent: Task | None) -> bool:
        """Any task but the plainest; True when it can be queued with its batch."""
        self._add_returns(process, task)
        spec, entries = task.spec, self._objects.entries
        gang = task.template.template.gang
        if gang in entries:  # until it is reserved the task waits for it; the payload stays the last
            spec.deps = [*spec.deps[: len(spec.deps) - bool(spec.payload)], gang, *([spec.payload] if spec.payload else [])]
        missing = next((object_id for object_id in spec.deps if object_id not in entries), None)
        spec.nested = self._objects.pin(spec.nested)
        failure = self._verdict(task, parent, missing)
        if failure is not None:
            spec.deps = []
            self._count(task)
            self._outcomes.fail(task, failure)
            return False
        self._objects.pin(spec.deps)
        return self._wait_for(task)

    def _verdict(self, task: Task, parent: Task | None, missing: ObjectId | None) -> Failure | None:
        """Why the task ends at once."""
        if parent is not None:
            task.parent = parent.task_id
            task.run.nests = True
            if parent.state is TaskState.CANCELLING:
                return parent.verdict
        if missing is not None:
            return lost(missing)
        if task.template.infeasible:
            return Failure("infeasible", task.template.infeasible, task=task.template.name)
        return None

    def _wait_for(self, task: Task) -> bool:
        """Let the task wait for what is not there; True when all is there."""
        for object_id in task.spec.deps:
            entry = self._objects.entries[object_id]
            if entry.value is None:
                task.missing += 1
                if entry.waiters is None:
                    entry.waiters = []
                entry.waiters.append(task)
            elif isinstance(entry.value, Failure):
                self._count(task)
                self._outcomes.fail(task, entry.value)
                return False
        if not task.missing:
            move_task(task, TaskState.QUEUED)
            return True
        move_task(task, TaskState.WAITING)
        task.run.waiting[task.task_id] = task
        self._count(task)
        return False

    def _add_returns(self, process: Process, task: Task) -> None:
        """Entries for the further returns; a task without returns leaves nothing to hold."""
        for further in task.returns[1:]:
            self._objects.entries[further] = ObjectEntry(further, 2, task.run, task)
            process.held.add(further)
        if task.template.template.num_returns == 0:
            process.held.discard(task.task_id)
            task.entry.keepers -= 1

    def _count(self, task: Task) -> None:
        task.template.live += 1
        task.run.count_new(1, self._deadlines.now)

    def refuse(self, process: Process, spec: TaskSpec) -> None:
        """A task of a template that is not known: a bug of the sender, which must not leave its user waiting."""
        failure = Failure("lost", f"task {spec.task_id:#x} names the template {spec.template_id:#x}, which is not registered")
        self._outbox.push(process, spec.task_id, failure)


