"""The calls of actors: accepted, sent to the actor's worker in each caller's order, ended in any order.

    Call ──> the caller's queue ──(the actor is alive, its worker has less than a window full)──> its worker ──> Finished

Calls do not wait for turns or resources: the actor has its worker. A call that waits for a dependency holds up those that
the same process makes after it, unless the actor runs several at a time anyway.
"""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from nbray.ids import ActorId, TaskId
from nbray.scheduler.actions import SetCancelWord, Signal
from nbray.scheduler.actor_records import Actor, Call
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.deaths import call_died, unknown_actor
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.messages import CancelCalls, Failure, Run, RunSpec, TakeBack, TaskResult, TaskSpec
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.output import OutputDesk
from nbray.scheduler.ownership import ObjectEntry, Objects
from nbray.scheduler.portions import MOST_ARGUMENT_BYTES, portions, size_of, too_much
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.registry import Registry
from nbray.scheduler.states import TaskState, WorkerState, move_task
from nbray.scheduler.submission import Submission, maker, run_of
from nbray.scheduler.tasks import CallTemplate, Task
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet

FORCE_SECONDS = 0.2
"""How long a call that is cancelled by force may take to end before its actor's worker is killed."""


class ActorCalls:
    """Every call that has not ended."""

    def __init__(
        self, objects: Objects, registry: Registry, submission: Submission, outcomes: Outcomes, output: OutputDesk,
        fleet: Fleet, outbox: Outbox, deadlines: Deadlines,
    ) -> None:  # fmt: skip
        self.table: dict[ActorId, Actor] = {}
        """All actors that are alive, are to be, or are dead while somebody still has a handle."""
        self.due: dict[Actor, None] = {}
        """Actors that must be looked at before the event in hand is done with."""
        self._objects = objects
        self._registry = registry
        self._submission = submission
        self._outcomes = outcomes
        self._output = output
        self._fleet = fleet
        self._outbox = outbox
        self._deadlines = deadlines

    # ---------------------------------------------------------------- in

    def call(self, process: Process, actor: Actor, specs: list[TaskSpec]) -> None:
        """Accept calls; the process holds one reference to each of their returns."""
        parent, several = maker(process)
        template: CallTemplate | None = None
        run: CellRun | None = None
        count = 0
        entries, held, queued = self._objects.entries, process.held, TaskState.QUEUED
        line = actor.callers.get(process.process_id)
        if line is None:
            line = actor.callers[process.process_id] = deque()
        for spec in specs:
            if several is not None and (parent is None or parent.task_id != spec.parent):
                self._count(template, run, count)
                parent, template, count = several.get(spec.parent), None, 0
            if template is None or template.template_id != spec.template_id:
                self._count(template, run, count)
                count = 0
                template = self._registry.templates.get(spec.template_id)
                if template is None:
                    self._submission.refuse(process, spec)
                    continue
                run = run_of(template, parent, several)
            assert run is not None
            task_id = spec.task_id
            entry = entries[task_id] = ObjectEntry(task_id, 2, run)
            call = entry.task = Call(task_id, spec, template, run, entry, template.template.max_retries)
            call.actor, call.caller = actor, process.process_id
            held.add(task_id)
            if not actor.unended:
                self._keep(actor)
            actor.unended += 1
            if actor.death is not None:
                self._submission.end_at_once(process, call, actor.death)
            elif parent is None and template.plain and not spec.deps and not spec.nested:
                move_task(call, queued)
                line.append(call)
                count += 1
            elif self._submission.accept(process, call, parent):
                line.append(call)
                count += 1
            elif call.state is TaskState.WAITING:
                if actor.concurrent:
                    actor.waiting[task_id] = call
                else:
                    line.append(call)
        if not line:
            del actor.callers[process.process_id]
        self._count(template, run, count)
        self.due[actor] = None

    def call_nobody(self, process: Process, actor_id: int, specs: list[TaskSpec]) -> None:
        """Calls of an actor that is not there."""
        for spec in specs:
            template = self._registry.templates.get(spec.template_id)
            if template is None:
                self._submission.refuse(process, spec)
                continue
            entry = self._objects.entries[spec.task_id] = ObjectEntry(spec.task_id, 2, template.run)
            task = entry.task = Task(spec.task_id, spec, template, template.run, entry, 0)
            process.held.add(spec.task_id)
            self._submission.end_at_once(process, task, unknown_actor(actor_id, template.name))

    def _count(self, template: CallTemplate | None, run: CellRun | None, count: int) -> None:
        """Neighbouring calls of one template were accepted."""
        if count:
            assert template is not None
            assert run is not None
            template.live += count
            run.count_new(count, self._deadlines.now)

    def _keep(self, actor: Actor) -> None:
        """Calls that have not ended keep their actor."""
        entry = self._objects.entries.get(actor.actor_id)
        if entry is not None:
            entry.keepers += 1

    # ---------------------------------------------------------------- to the worker

    def arrived(self, call: Call) -> None:
        """The dependencies of a call are there."""
        actor = call.actor
        assert actor is not None
        if actor.waiting.pop(call.task_id, None) is not None:
            actor.callers.setdefault(call.caller, deque()).append(call)
        self.due[actor] = None

    def put_back(self, call: Call) -> None:
        """A call, already QUEUED again, runs before the others of its caller that are not in the worker."""
        actor = call.actor
        assert actor is not None
        actor.callers.setdefault(call.caller, deque()).appendleft(call)
        self.due[actor] = None

    def push(self, actor: Actor) -> None:
        """Send the worker what it has room for, an equal part from each caller."""
        worker, callers = actor.worker, actor.callers
        assert worker is not None
        specs: list[RunSpec] = []
        unknown: dict[CallTemplate, None] = {}
        if not actor.running:
            worker.head_since = self._deadlines.now
        moved = True
        while moved and callers:
            moved = False
            part = (actor.window - len(actor.running)) // len(callers) + 1
            for caller in list(callers):
                room = min(part, actor.window - len(actor.running))
                queue = callers[caller]
                sent = self._push_from(queue, room, worker, actor, specs, unknown)
                del callers[caller]
                if queue:  # behind the others, for the next time
                    callers[caller] = queue
                moved = moved or sent > 0
        if unknown:
            self._registry.teach(worker, list(unknown))
        if specs:
            assert worker.process is not None
            for portion in portions(specs):
                self._outbox.send(worker.process.process_id, Run(portion))

    def _push_from(
        self, queue: deque[Call], room: int, worker: Worker, actor: Actor, specs: list[RunSpec],
        unknown: dict[CallTemplate, None],
    ) -> int:  # fmt: skip
        """The first calls of one caller, as far as they need not wait; how many."""
        queued, assigned, waiting = TaskState.QUEUED, TaskState.ASSIGNED, TaskState.WAITING
        running, known, count = actor.running, worker.templates, 0
        while queue and count < room:
            call = queue[0]
            if call.state is waiting:
                break
            if call.spec.deps and len(running) >= actor.few and call.state is queued and self._objects.any_large(call.spec.deps):
                break  # what a worker is to read stays in the store
            queue.popleft()
            if call.state is not queued:
                continue  # it has ended
            spec, template = call.spec, call.template
            deps = self._objects.values(spec.deps) if spec.deps else []
            if deps and size_of(deps) > MOST_ARGUMENT_BYTES:
                self._outcomes.fail(call, too_much(call, size_of(deps)))
                continue
            move_task(call, assigned)
            call.worker = worker
            running[call.task_id] = call
            if spec.template_id not in known:
                unknown[template] = None
            specs.append(RunSpec(call.task_id, spec.template_id, call.attempt, spec.args, deps, bool(spec.payload)))
            count += 1
        return count

    # ---------------------------------------------------------------- ended

    def finished(self, worker: Worker, actor: Actor, results: list[TaskResult]) -> None:
        """Results of calls, in any order; those of calls that have ended otherwise are dropped."""
        process, running = worker.process, actor.running
        assert process is not None
        ended: list[tuple[Task, TaskResult]] = []
        for result in results:
            call = running.pop(result.task_id, None)
            if call is not None:
                ended.append((call, result))
            else:
                for value in result.values:
                    self._objects.reject(process, value)
        if actor.cancelling:
            actor.cancelling.difference_update([result.task_id for result in results])
        worker.head_since = self._deadlines.now
        self._end(actor, self._outcomes.ended(worker, ended))

    def last_lines(self, call: Call | None) -> str:
        """The end of what a call has printed."""
        return self._output.last_lines(call.task_id) if call is not None else ""

    def failed(self, call: Call) -> None:
        """A call has ended without a result."""
        actor = call.actor
        assert actor is not None
        actor.waiting.pop(call.task_id, None)
        self._end(actor, 1)

    def _end(self, actor: Actor, count: int) -> None:
        """So many calls have ended."""
        actor.unended -= count
        self.due[actor] = None
        if count and not actor.unended and actor.actor_id in self._objects.entries:
            self._objects.unpin((actor.actor_id,))

    def fail_all(self, actor: Actor, failure: Failure) -> None:
        """None of its calls will be run any more, or run to its end."""
        calls = [*actor.running.values(), *self.unpushed(actor)]
        actor.running, actor.callers, actor.waiting = {}, {}, {}
        actor.cancelling.clear()
        for call in calls:
            self._outcomes.fail(call, call.verdict or failure)

    def fail_queued(self, actor: Actor, failure: Failure) -> None:
        """What is not in its worker will not come there."""
        calls = self.unpushed(actor)
        actor.callers, actor.waiting = {}, {}
        for call in calls:
            self._outcomes.fail(call, failure)

    @staticmethod
    def unpushed(actor: Actor) -> list[Call]:
        """Its calls that have not ended and are not in its worker."""
        queued = [call for queue in actor.callers.values() for call in queue if call.state < TaskState.SUCCEEDED]
        return queued + list(actor.waiting.values())

    def lost(self, actor: Actor, worker: Worker, exited: WorkerExited) -> None:
        """The worker is gone and the actor starts again: what had not begun is sent again, what had as far as it may.

        Calls begin in the order in which they were sent, so without concurrency those up to the one begun last have begun.
        With it, none is certain not to have.
        """
        calls = list(actor.running.values())
        actor.running = {}
        actor.cancelling.clear()
        began = len(calls) if actor.concurrent else next(
            (place + 1 for place, call in enumerate(calls) if call.task_id == exited.started), 0
        )  # fmt: skip
        again: list[Call] = []
        for place, call in enumerate(calls):
            if place < began:
                self._output.end(call, worker)
            if call.state is TaskState.CANCELLING:
                assert call.verdict is not None
                self._outcomes.fail(call, call.verdict)
            elif place >= began:
                again.append(call)
            elif call.retries:
                call.attempt += 1
                call.retries -= call.retries > 0
                again.append(call)
            else:
                self._outcomes.fail(call, call_died(call, actor, worker, exited, self._output.last_lines(call.task_id)))
        for call in reversed(again):
            move_task(call, TaskState.QUEUED)
            call.worker = None
            self.put_back(call)

    # ---------------------------------------------------------------- cancelled

    def pending(self, run: CellRun) -> list[Call]:
        """The calls of a cell run that have not ended and do not only wait for dependencies."""
        return [
            call for actor in self.table.values() if actor.unended
            for calls in (*actor.callers.values(), actor.running.values())
            for call in calls if call.run is run and call.state in (TaskState.QUEUED, TaskState.ASSIGNED, TaskState.CANCELLING)
        ]  # fmt: skip

    def stop(self, calls: Iterable[Call], verdict: Callable[[Task], Failure], *, force: bool) -> None:
        """Stop calls that are in workers; with `force`, the worker is killed where that takes long, else never."""
        actors: dict[Actor, list[TaskId]] = {}
        for call in calls:
            actor = call.actor
            assert actor is not None
            if call.state is TaskState.ASSIGNED:
                move_task(call, TaskState.CANCELLING)
                call.verdict = verdict(call)
                actor.cancelling.add(call.task_id)
                actors.setdefault(actor, []).append(call.task_id)
            if force and not call.force:
                call.force = True
                self._deadlines.after(FORCE_SECONDS, partial(self._kill_overdue, actor, call))
        for actor, task_ids in actors.items():
            worker = actor.worker
            if worker is None or worker.process is None or worker.state is WorkerState.STOPPING:
                continue
            if actor.concurrent:
                self._outbox.send(worker.process.process_id, CancelCalls(task_ids))
            else:
                actor.asked += 1
                self._outbox.send(worker.process.process_id, TakeBack(task_ids))

    def taken_back(self, actor: Actor, task_ids: list[TaskId]) -> None:
        """The worker has not begun these calls and will not: they end as they were to end."""
        actor.asked -= 1
        for task_id in task_ids:
            call = actor.running.pop(task_id, None)
            if call is not None:
                actor.cancelling.discard(task_id)
                assert call.verdict is not None
                self._outcomes.fail(call, call.verdict)

    def interrupt(self, actor: Actor) -> None:
        """Signal the call that runs if it must not go on; only once it is certain that the worker has begun it."""
        call, worker = actor.head, actor.worker
        if call is None or worker is None or actor.asked or call.state is not TaskState.CANCELLING or call.interrupted:
            return
        call.interrupted = True
        self._outbox.actions.append(SetCancelWord(worker.slot, call.task_id))
        self._outbox.actions.append(Signal(worker.slot, signal.SIGINT))

    def _kill_overdue(self, actor: Actor, call: Call) -> None:
        worker, still_there = call.worker, call.task_id in actor.running and call.state is TaskState.CANCELLING
        if still_there and worker is not None and worker.state is not WorkerState.STOPPING:
            self._fleet.kill(worker)
