"""How tasks end: with a result, with a failure that their dependents share, cancelled; or not yet, because they run again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from nbray.scheduler.actor_records import Call
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.deaths import task_died
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.fairness import Turns
from nbray.scheduler.messages import Failure, TaskResult, Value
from nbray.scheduler.output import OutputDesk
from nbray.scheduler.ownership import Objects
from nbray.scheduler.processes import Process
from nbray.scheduler.registry import Registry
from nbray.scheduler.retries import Retries
from nbray.scheduler.states import TaskState, move_task
from nbray.scheduler.task_records import TaskRecords
from nbray.scheduler.tasks import CallTemplate, Task
from nbray.scheduler.worker_records import Worker, cause

MOST_DEATHS = 100
"""Of workers that one task has taken with it, which are told when it is given up."""


class Tally:
    """Neighbouring results of one template and cell run, summed up before they are booked."""

    __slots__ = ("charged", "count", "micros", "run", "succeeded", "template")

    def __init__(self, template: CallTemplate, run: CellRun) -> None:
        self.template = template
        self.run = run
        self.count = 0
        self.succeeded = 0
        self.micros = 0
        self.charged = 0.0


class Outcomes:
    """Ends tasks; every accepted task ends exactly once, in `finished` or in `fail`."""

    def __init__(
        self, objects: Objects, registry: Registry, turns: Turns, output: OutputDesk, deadlines: Deadlines
    ) -> None:
        self._objects = objects
        self._registry = registry
        self._turns = turns
        self._output = output
        self._deadlines = deadlines
        self.retries = Retries(turns, deadlines)
        self.records = TaskRecords(deadlines)
        self.on_call: Callable[[Call], None] = lambda call: None
        """What to do with a call of an actor whose dependencies are there."""
        self.on_failed: Callable[[Task, Failure], None] = lambda task, failure: None
        """What else to do when a call or the creation of an actor has ended without a result."""

    # ---------------------------------------------------------------- reports of workers

    def finished(self, worker: Worker, results: list[TaskResult]) -> None:
        """A worker's report: the results of its next tasks, in the order of its queue."""
        queue, ended = worker.queue, list[tuple[Task, TaskResult]]()
        for result in results:
            if queue and queue[0].task_id == result.task_id:
                ended.append((queue.popleft(), result))
            else:  # not what a worker does, but no task shall wait for ever because of it
                late = next((task for task in queue if task.task_id == result.task_id), None)
                if late is not None:
                    queue.remove(late)
                    ended.append((late, result))
                else:
                    assert worker.process is not None
                    for value in result.values:
                        self._objects.reject(worker.process, value)
        self.ended(worker, ended)

    def ended(self, worker: Worker, results: list[tuple[Task, TaskResult]]) -> int:
        """Results of tasks and calls that the worker's tables have let go of; returns how many have succeeded."""
        process = worker.process
        assert process is not None
        settle, tally, total, now = self._objects.settle, None, 0, self._deadlines.now
        ended, records = worker.ended, self._output.records
        assigned, succeeded = TaskState.ASSIGNED, TaskState.SUCCEEDED  # an enum's member costs 0.1 us on Python 3.11
        for task, result in results:
            template, values = task.template, result.values
            ended.append((result.task_id, task.run, template.name, result.micros, now, task.attempt, task.parent))
            if tally is None or tally.template is not template or tally.run is not task.run:
                if tally is not None:
                    total += self._book(tally)
                tally = Tally(template, task.run)
            tally.count += 1
            tally.micros += result.micros
            tally.charged += task.charged
            worker.backlog -= task.charged
            if task.state is assigned and template.plain and len(values) == 1 and type(values[0]) is not Failure:
                entry = task.entry
                waiters = settle(entry, values[0], process)
                if type(entry.value) is Failure:
                    self._not_kept(task, entry.value)
                else:
                    move_task(task, succeeded)
                    tally.succeeded += 1
                if waiters is not None:
                    self.arrived(waiters, entry.value)
                if task.spec.deps or task.spec.nested:
                    self._let_go(task)
                if records:
                    self._output.finish(task, worker)
            else:
                tally.succeeded += self._finish_other(worker, process, task, values)
        return total if tally is None else total + self._book(tally)

    def _finish_other(self, worker: Worker, process: Process, task: Task, values: list[Value]) -> bool:
        """A failure, several returns or none, a task that was being cancelled; True when it has succeeded."""
        failure = values[0] if len(values) == 1 and isinstance(values[0], Failure) else None
        self._output.finish(task, worker)
        if failure is None and len(values) != task.template.values:
            failure = self._wrong_count(process, task, values)
        if failure is None:
            return self._succeed(task, process, values or [b""])
        if task.state is TaskState.CANCELLING:
            assert task.verdict is not None
            self.fail(task, task.verdict)
        elif failure.retriable and task.retries:
            self.records.failed(task, failure, again=True)
            self.retries.again(task)
        else:
            self.fail(task, failure)
        return False

    def _succeed(self, task: Task, process: Process, values: list[Value]) -> bool:
        """Several returns, each with its value; False when the store had no room for one of them."""
        entries = [self._objects.entries[object_id] for object_id in task.returns]
        waiters = [self._objects.settle(entry, value, process) for entry, value in zip(entries, values, strict=True)]
        failure = next((entry.value for entry in entries if isinstance(entry.value, Failure)), None)
        if failure is None:
            move_task(task, TaskState.SUCCEEDED)
        else:
            self._not_kept(task, failure)
        for entry, tasks in zip(entries, waiters, strict=True):
            self.arrived(tasks or (), entry.value)
        self._let_go(task)
        return failure is None

    def _not_kept(self, task: Task, failure: Failure) -> None:
        """The task had a result, for which the store has no room."""
        move_task(task, TaskState.FAILED)
        task.run.count_failure(task, failure, self._deadlines.now)
        self.records.failed(task, failure)
        self.retire(task.template, 1)
        if type(task) is not Task:
            self.on_failed(task, failure)

    def _book(self, tally: Tally) -> int:
        """Count the results of one template in one cell run; returns how many have succeeded."""
        template, run, seconds = tally.template, tally.run, tally.micros * 1e-6
        run.count_results(tally.succeeded, seconds, self._deadlines.now)
        line = run.line_of(template.priority) if template.priority else run.line
        line.charge((seconds - tally.charged) * template.shape.share)
        template.function.learn(seconds / tally.count)
        self.retire(template, tally.succeeded)
        return tally.succeeded

    def retire(self, template: CallTemplate, count: int) -> None:
        """So many tasks less may still need the template."""
        template.live -= count
        if template.forgotten and not template.live and template.template_id in self._registry.templates:
            self._registry.drop(template)

    # ---------------------------------------------------------------- failures

    def fail(self, task: Task, failure: Failure) -> None:
        """End a task without a result, and with it every task that waits for it: they share its failure.

        A queued task must have been taken out of the count of its line before.
        """
        failed, cancelled, waiting = TaskState.FAILED, TaskState.CANCELLED, TaskState.WAITING
        outcome = cancelled if failure.kind == "cancelled" else failed
        pending = [task]
        while pending:
            task = pending.pop()
            if task.state is failed or task.state is cancelled:
                continue  # it waited for two objects that failed
            if task.state is waiting:
                task.run.waiting.pop(task.task_id, None)
            move_task(task, outcome)
            task.run.count_failure(task, failure, self._deadlines.now)
            self.records.failed(task, failure)
            for entry in (task.entry,) if task.template.plain else [self._objects.entries[each] for each in task.returns]:
                waiters = self._objects.settle(entry, failure)
                if waiters:
                    pending += [waiter for waiter in waiters if waiter.state is waiting]
            if task.spec.deps or task.spec.nested or task.spec.args:
                self._let_go(task)
            self.retire(task.template, 1)
            if type(task) is not Task:
                self.on_failed(task, failure)

    def fail_queued(self, task: Task, failure: Failure) -> None:
        """The same for a task that has no worker yet."""
        if task.state is TaskState.QUEUED and type(task) is not Call:
            self._turns.shrink(task.line, 1)
        self.fail(task, failure)

    def _let_go(self, task: Task) -> None:
        """An ended task keeps its arguments alive no longer."""
        spec = task.spec
        self._objects.unpin(spec.deps)
        self._objects.unpin(spec.nested)
        spec.deps, spec.nested, spec.args = [], [], b""

    def arrived(self, waiters: Iterable[Task], value: Value | None) -> None:
        """One dependency of each of these is there, or has turned out as a failure."""
        for task in waiters:
            task.missing -= 1
            if isinstance(value, Failure):
                if task.state is TaskState.WAITING:
                    self.fail(task, value)
            elif not task.missing and task.state is TaskState.WAITING:
                del task.run.waiting[task.task_id]
                move_task(task, TaskState.QUEUED)
                if type(task) is Call:
                    self.on_call(task)
                else:
                    self._turns.add(task.line, task.template.shape, (task,))

    # ---------------------------------------------------------------- again

    def died(self, worker: Worker, exited: WorkerExited) -> None:
        """A worker has ended: what it had not started runs elsewhere, what it was running has failed.

        Tasks run in the order of the queue, so those before the one it started last had finished, unreported. Neither
        they nor the running one, which may have finished too, ever run a second time unasked.
        """
        tasks = list(worker.queue)
        worker.queue.clear()
        began = next((place for place, task in enumerate(tasks) if task.task_id == exited.started), -1)
        again: list[Task] = []
        for place, task in enumerate(tasks):
            if place <= began:
                self._output.end(task, worker)
            if task.state is TaskState.CANCELLING:
                assert task.verdict is not None
                self.fail(task, task.verdict)
            elif place > began:
                again.append(task)
            elif task.retries:
                self.records.failed(task, task_died(task, worker, exited, ""), again=True)
                task.deaths = (*task.deaths, cause(exited))[-MOST_DEATHS:]
                self.retries.again(task)
            else:
                self.fail(task, task_died(task, worker, exited, self._output.last_lines(task.task_id)))
        self.records.keep(worker)
        self._requeue(again)

    def give_back(self, tasks: list[Task]) -> None:
        """These had not started: they go back to the front of their lines, and their charge is refunded."""
        for task in tasks:
            task.line.charge(-task.charged * task.template.shape.share)
        self._requeue(tasks)

    def _requeue(self, tasks: list[Task]) -> None:
        for task in reversed(tasks):
            self.retries.put_back(task)

    def _wrong_count(self, process: Process, task: Task, values: list[Value]) -> Failure:
        for value in values:
            self._objects.reject(process, value)
        return Failure(
            "exception",
            f"{task.template.name} was reported with {len(values)} values instead of {task.template.values}: "
            "this is a bug in nbray, please report it",
            task=task.template.name,
        )
