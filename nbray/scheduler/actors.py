"""Actors, from creation to death: where they live, when they start again, and what ends them.

    CreateActor ──> the creation stands in a line like a task ──> a worker that is the actor's from then on ──> ALIVE
    worker died ──> RESTARTING, while max_restarts allows ──> the creation runs again, elsewhere
    no handle left, exit_actor, kill, a failed creation ──> EXITING ──(its worker's end)──> DEAD

A handle is a reference to the object that the creation makes, so an actor lives as long as that object: queued calls and
handles inside arguments keep it. A detached one keeps itself.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nbray.ids import ActorId, ObjectId, ProcessId, TaskId, object_id
from nbray.scheduler import deaths
from nbray.scheduler.actor_calls import ActorCalls
from nbray.scheduler.actor_names import ActorNames
from nbray.scheduler.actor_records import Actor, Call, Creation
from nbray.scheduler.cell_runs import Job
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.messages import CreateActor, Failure, Host, Inline, KillActor, TaskResult
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.ownership import ObjectEntry, Objects
from nbray.scheduler.pool import Pool
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.registry import Registry
from nbray.scheduler.states import ActorState, TaskState, WorkerState, move_actor, move_worker
from nbray.scheduler.submission import Submission, maker, run_of
from nbray.scheduler.tasks import Task
from nbray.scheduler.worker_records import Worker
from nbray.scheduler.workers import Fleet

LEAVE_SECONDS = 30.0
"""How long a worker may take to tidy up whose actor ends gracefully, before it is killed."""
OWN_PROCESS = ProcessId(0)
"""Restarts have numbers of this process, which nobody is."""


class Actors:
    """All actors that are alive, are to be, or are dead while somebody still has a handle."""

    def __init__(
        self, objects: Objects, registry: Registry, submission: Submission, outcomes: Outcomes, calls: ActorCalls, pool: Pool,
        fleet: Fleet, outbox: Outbox,
    ) -> None:  # fmt: skip
        self.table = calls.table
        self.names = ActorNames()
        self.calls = calls
        self.due = calls.due
        self._objects = objects
        self._registry = registry
        self._submission = submission
        self._outcomes = outcomes
        self._pool = pool
        self._fleet = fleet
        self._outbox = outbox
        self._restarts = 0
        self.on_forgotten: Callable[[Actor], None] = lambda actor: None
        """Called with an actor that is dead and that nobody has a handle of any more."""
        objects.on_gone = self._orphaned
        outcomes.on_call, outcomes.retries.on_call = calls.arrived, calls.put_back
        outcomes.on_failed = self._failed

    # ---------------------------------------------------------------- creation

    def create(self, process: Process, job: Job, message: CreateActor) -> None:
        """Accept an actor; the process holds one reference to it."""
        spec, actor_id = message.task, message.task.task_id
        template = self._registry.templates.get(spec.template_id)
        if template is None:
            self._submission.refuse(process, spec)
            return
        parent, several = maker(process)
        if several is not None:
            parent = several.get(message.task.parent)
        run = run_of(template, parent, several)
        entry = self._objects.entries[actor_id] = ObjectEntry(actor_id, 2, run)
        process.held.add(actor_id)
        actor = Actor(actor_id, message.actor, message.actor.namespace or job.namespace, spec, template, run)
        other = self.names.taken(actor)
        if other is not None:
            task = entry.task = Task(actor_id, spec, template, run, entry, 0)
            self._submission.end_at_once(process, task, deaths.name_taken(actor, other))
            return
        self.table[actor_id] = actor
        self.names.add(actor)
        move_actor(actor, ActorState.PENDING)
        self._objects.watched.add(actor_id)
        if message.actor.max_restarts:
            actor.pinned = self._objects.pin([*spec.deps, *spec.nested])
        if message.actor.detached:
            actor.pinned += self._objects.pin([actor_id])
        template.live += 1  # it may be needed for a restart
        creation = entry.task = actor.creation = Creation(actor_id, spec, template, run, entry, message.actor.max_restarts)
        creation.actor = actor
        if message.actor.max_restarts:
            actor.task = msgspec.structs.replace(spec)  # the creation lets go of what is in its own
        self._submission.submit_one(process, creation, parent)

    def placed(self, worker: Worker, creation: Task) -> None:
        """The worker is the actor's from now on, and is about to get its creation."""
        assert type(creation) is Creation
        actor = creation.actor
        assert actor is not None
        assert worker.process is not None
        self._fleet.host(worker, actor)
        actor.worker = worker
        self._outbox.send(worker.process.process_id, Host(actor.actor_id, actor.spec))

    def finished(self, worker: Worker, actor: Actor, results: list[TaskResult]) -> None:
        """A report of a worker that hosts an actor: its creation, or calls."""
        if worker.queue and results[0].task_id == worker.queue[0].task_id:
            self._created(worker, actor, results[0])
            results = results[1:]
        if results:
            self.calls.finished(worker, actor, results)

    def taken_back(self, actor: Actor, task_ids: list[TaskId]) -> None:
        """Calls that the actor's worker has not begun and will not."""
        self.calls.taken_back(actor, task_ids)
        self.due[actor] = None

    def _created(self, worker: Worker, actor: Actor, result: TaskResult) -> None:
        creation = worker.queue.popleft()
        assert worker.process is not None
        failure = next((value for value in result.values if isinstance(value, Failure)), None)
        if failure is not None:
            result.values = [msgspec.structs.replace(failure, retriable=False)]
        else:
            for value in result.values:
                self._objects.reject(worker.process, value)
            result.values = [Inline(b"", [])]
        self._outcomes.ended(worker, [(creation, result)])
        self.due[actor] = None
        if creation.state is TaskState.SUCCEEDED:
            actor.creation = None
            actor.restarts_left = creation.retries
            if actor.state is not ActorState.EXITING:  # else it was killed while it reported
                move_actor(actor, ActorState.ALIVE)

    def _failed(self, task: Task, failure: Failure) -> None:
        """A call has no result, or an actor does not come to life; what that means is seen to at the end of the event."""
        if type(task) is Call:
            self.calls.failed(task)
            return
        assert type(task) is Creation
        actor = task.actor
        assert actor is not None
        actor.death = deaths.not_created(actor, failure)
        self.due[actor] = None

    # ---------------------------------------------------------------- what must be seen to

    def look(self) -> None:
        """See to the actors that something has happened to; called after every event that did."""
        due = self.due
        while due:
            actor = next(iter(due))
            del due[actor]
            self._look_at(actor)
            worker = actor.worker
            if worker is not None:
                (self._fleet.serving.add if worker.serving else self._fleet.serving.discard)(worker.slot)

    def _look_at(self, actor: Actor) -> None:
        state, creation = actor.state, actor.creation
        if state is ActorState.DEAD:
            self.calls.fail_queued(actor, self._why(actor))
            if actor.orphaned and self.table.pop(actor.actor_id, None) is not None:
                self.on_forgotten(actor)
            return
        if creation is not None and creation.state in (TaskState.FAILED, TaskState.CANCELLED):
            if state is ActorState.EXITING and actor.worker is not None:
                return  # killed while it was being created
            self._bury(actor)
            return
        if actor.orphaned and state is not ActorState.EXITING:
            self._end_orphan(actor)
        elif actor.draining and state is ActorState.ALIVE:
            move_actor(actor, ActorState.EXITING)
        if actor.state is ActorState.ALIVE or (actor.state is ActorState.EXITING and actor.draining):
            self._serve(actor)

    def _serve(self, actor: Actor) -> None:
        worker = actor.worker
        if worker is None or worker.state is WorkerState.STOPPING:
            return
        if actor.callers and len(actor.running) < actor.window:
            self.calls.push(actor)
        if actor.cancelling:
            self.calls.interrupt(actor)
        if actor.draining and not actor.unended:
            self._fleet.exit(worker, "its actor has ended", LEAVE_SECONDS)

    def _end_orphan(self, actor: Actor) -> None:
        """Nobody can call it any more, and no call is left."""
        actor.death = actor.death or deaths.without_handles(actor)
        creation, worker = actor.creation, actor.worker
        if worker is not None:
            move_actor(actor, ActorState.EXITING)
            self.names.remove(actor)
            if worker.state is not WorkerState.STOPPING:
                self._fleet.exit(worker, "its actor has ended", LEAVE_SECONDS)
        elif creation is not None:  # a restart that nobody needs
            self._outcomes.fail_queued(creation, actor.death)

    @staticmethod
    def _why(actor: Actor) -> Failure:
        assert actor.death is not None
        return actor.death

    def _bury(self, actor: Actor) -> None:
        """It has no worker, or one that is of no use: it is dead, and so is every call of it."""
        move_actor(actor, ActorState.DEAD)
        self.names.remove(actor)
        worker, actor.worker, actor.creation = actor.worker, None, None
        if worker is not None and worker.state is not WorkerState.STOPPING:
            self._fleet.exit(worker, "its actor could not be created", LEAVE_SECONDS)
        self.calls.fail_all(actor, self._why(actor))
        pinned, actor.pinned = actor.pinned, []
        self._objects.unpin(pinned)
        template, actor.template = actor.template, None
        if template is not None:
            self._outcomes.retire(template, 1)
        self.due[actor] = None

    def _orphaned(self, actor_id: ObjectId) -> None:
        """Its object is gone."""
        actor = self.table.get(actor_id)
        self._objects.watched.discard(actor_id)
        if actor is not None:
            actor.orphaned = True
            self.due[actor] = None

    # ---------------------------------------------------------------- the end of its worker

    def died(self, worker: Worker, actor: Actor, exited: WorkerExited) -> None:
        """The actor's worker is gone, with all that it sent heard."""
        actor.worker, actor.blocked, actor.asked = None, 0, 0
        self.due[actor] = None
        if actor.state is ActorState.DEAD:
            worker.queue.clear()
            return
        if worker.queue:
            self._died_at_creation(worker, actor, exited)
            return
        running = next((call for call in actor.running.values() if call.task_id == exited.started), None)
        if actor.state is ActorState.ALIVE:
            if actor.restarts_left:
                move_actor(actor, ActorState.RESTARTING)
            else:
                actor.death = deaths.actor_died(actor, worker, exited, running, self.calls.last_lines(running))
        if actor.state is ActorState.RESTARTING:
            self.calls.lost(actor, worker, exited)
            self._restart(actor)
        else:
            if actor.draining and actor.unended:
                actor.death = deaths.actor_died(actor, worker, exited, running, self.calls.last_lines(running))
            self._bury(actor)

    def _died_at_creation(self, worker: Worker, actor: Actor, exited: WorkerExited) -> None:
        """Not begun, the creation runs elsewhere; begun, it counts as a restart, if there are any left."""
        creation = worker.queue[0]
        if actor.state is ActorState.EXITING:
            worker.queue.clear()
            self._outcomes.fail(creation, creation.verdict or self._why(actor))
            self._bury(actor)
            return
        attempt = creation.attempt
        self._outcomes.died(worker, exited)
        if creation.attempt > attempt:
            actor.restarts += 1

    def _restart(self, actor: Actor) -> None:
        """Create it again; the creation's own references are new ones, since it lets go of them when it ends."""
        template = actor.template
        assert template is not None
        self._restarts += 1
        actor.restarts += 1
        number = object_id(OWN_PROCESS, self._restarts)
        nested, deps = self._objects.pin(actor.task.nested), self._objects.pin(actor.task.deps)
        spec = msgspec.structs.replace(actor.task, task_id=number, nested=nested, deps=deps)
        entry = self._objects.entries[number] = ObjectEntry(number, 1, actor.run)
        left = actor.restarts_left - (actor.restarts_left > 0)
        creation = entry.task = actor.creation = Creation(number, spec, template, actor.run, entry, left)
        creation.actor, creation.attempt = actor, actor.restarts + 1
        self._submission.resubmit(creation)

    # ---------------------------------------------------------------- ended by somebody

    def kill(self, message: KillActor) -> None:
        """End an actor, or only its worker, now or after its calls."""
        actor = self.table.get(message.actor_id)
        if actor is None or actor.state is ActorState.DEAD:
            return
        if message.after_calls:
            if actor.death is None:
                actor.draining = True
                actor.death = deaths.told_to_end(actor)
                self.names.remove(actor)
                self.due[actor] = None
        elif message.no_restart:
            self._end(actor, deaths.killed(actor))
        else:
            self._kill_worker(actor)

    def exit(self, process: Process, actor_id: ActorId) -> None:
        """The actor ends on purpose; its worker begins nothing more and leaves by itself."""
        actor = self.table.get(actor_id)
        worker = process.worker
        if actor is None or worker is None or actor.worker is not worker or actor.state is ActorState.DEAD:
            return
        actor.death, actor.draining = deaths.exited_on_purpose(actor), False
        self.names.remove(actor)
        if actor.state is not ActorState.EXITING:
            move_actor(actor, ActorState.EXITING)
        self.calls.fail_all(actor, actor.death)
        if worker.state is not WorkerState.STOPPING:
            self._fleet.let_go(worker, LEAVE_SECONDS)

    def _end(self, actor: Actor, death: Failure) -> None:
        """No restart, and no call more."""
        actor.death, actor.draining = death, False
        self.names.remove(actor)
        self.calls.fail_queued(actor, death)
        if actor.worker is not None:
            if actor.state is not ActorState.EXITING:
                move_actor(actor, ActorState.EXITING)
            self._fleet.kill(actor.worker)
        elif actor.creation is not None:
            self._outcomes.fail_queued(actor.creation, death)

    def _kill_worker(self, actor: Actor) -> None:
        if actor.state is ActorState.ALIVE and not actor.restarts_left:
            self._end(actor, deaths.killed(actor))
        elif actor.worker is not None and actor.worker.state is not WorkerState.STOPPING:
            self._fleet.kill(actor.worker)
            if actor.state is ActorState.ALIVE:
                move_actor(actor, ActorState.RESTARTING)

    # ---------------------------------------------------------------- waiting for objects

    def blocked(self, worker: Worker, actor: Actor) -> None:
        """One of its calls waits for objects: while any does, its CPUs are free."""
        actor.blocked += 1
        if actor.blocked == 1 and worker.state is WorkerState.HOSTING:
            move_worker(worker, WorkerState.BLOCKED)
            self._pool.block(worker)

    def unblocked(self, worker: Worker, actor: Actor) -> None:
        """One of them goes on."""
        actor.blocked -= 1
        if not actor.blocked and worker.state is WorkerState.BLOCKED:
            move_worker(worker, WorkerState.HOSTING)
            self._pool.unblock(worker)
