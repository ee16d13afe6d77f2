"""The scheduler: one pure state machine, `handle(event, now) -> actions`, put together from the tables beside this file.

    Submit ──> submission ──> turns (fairness) ──> placement ──> worker ──> outcomes ──> objects (ownership) ──> Ready
                    registry ──────────────────────────┘            │
    Cancel ──> cancellation ──> placement, fleet (workers)          └──> cell runs ──> pictures
    CreateActor ──> actors ──> turns, as a task; a worker of its own      Call ──> actor calls ──> that worker ──> outcomes

No socket, clock, file, thread or random source: the same events at the same times give the same actions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from nbray.config import ClusterConfig
from nbray.errors import InternalError
from nbray.ids import ObjectId, ProcessId
from nbray.resources import CPU, UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import Action
from nbray.scheduler.actor_answers import ActorAnswers
from nbray.scheduler.actor_calls import ActorCalls
from nbray.scheduler.actors import Actors
from nbray.scheduler.cancel_requests import CancelRequests
from nbray.scheduler.cancellation import Cancellation
from nbray.scheduler.cell_runs import Job, Jobs
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.events import (
    Event,
    Joined,
    Left,
    MemoryHeadroom,
    MemoryUsed,
    Received,
    RestoreDone,
    RestoreFailed,
    SpillDone,
    SpillFailed,
    Started,
    StarterLeft,
    Tick,
    WorkerExited,
    WorkerForked,
)
from nbray.scheduler.extents import Allocator, Extents
from nbray.scheduler.fairness import Turns
from nbray.scheduler.gangs import Gang, Gangs, removed
from nbray.scheduler.left_work import LeftWork
from nbray.scheduler.lifetime import Lifetime
from nbray.scheduler.listings import Listings
from nbray.scheduler.membership import Membership
from nbray.scheduler.memory_guard import MemoryGuard
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.output import OutputDesk
from nbray.scheduler.ownership import Objects, lost
from nbray.scheduler.pictures import Pictures
from nbray.scheduler.placement import Placement
from nbray.scheduler.pool import Pool
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.prompts import Prompts
from nbray.scheduler.questions import Questions
from nbray.scheduler.registry import Registry
from nbray.scheduler.reports import Reports
from nbray.scheduler.spilling import Spilling
from nbray.scheduler.states import WorkerState
from nbray.scheduler.streams import Streams
from nbray.scheduler.submission import Submission
from nbray.scheduler.worker_queues import WorkerQueues
from nbray.scheduler.workers import MOST_WORKERS, Fleet
from nbray.snapshot import ClusterSnapshot

RECENT_EVENTS = 32


class Scheduler:
    """All of a cluster's tables; see `events` for what it must be told and `actions` for what it wants done."""

    def __init__(self, config: ClusterConfig, allocator: Allocator) -> None:
        self._config = config
        self._deadlines = Deadlines()
        self._outbox = Outbox()
        self._recent: deque[tuple[float, str]] = deque(maxlen=RECENT_EVENTS)
        self._processes: dict[ProcessId, Process] = {}
        self._turns = Turns()
        self._pool = Pool(config.resources)
        outbox, deadlines = self._outbox, self._deadlines
        self._extents = Extents(allocator, config.store_limit, config.idle_return, outbox, deadlines)
        self._spilling = Spilling(
            bool(config.spill_directory), config.spill_problem, self._extents, self._processes, outbox, deadlines
        )
        self._objects = Objects(self._extents, self._spilling, self._processes, outbox)
        self._jobs = Jobs(self._objects)
        self._fleet = Fleet(
            config.num_workers, config.max_workers or config.num_workers, config.idle_seconds, outbox, deadlines
        )
        self._gangs = Gangs(self._pool, self._objects, deadlines)
        self._registry = Registry(self._objects, self._pool, self._gangs, self._fleet, outbox)
        self._output = OutputDesk(config.run_directory, config.output_limit, outbox, deadlines)
        self._outcomes = Outcomes(self._objects, self._registry, self._turns, self._output, deadlines)
        self._submission = Submission(self._objects, self._registry, self._turns, self._outcomes, outbox, deadlines)
        self._worker_queues = WorkerQueues(self._pool, self._fleet, self._outcomes, outbox, deadlines, config.prefetch_seconds)
        self._placement = Placement(
            self._turns, self._pool, self._fleet, self._gangs, self._objects, self._registry, self._outcomes,
            self._worker_queues, outbox, deadlines, config.prefetch_seconds,
        )  # fmt: skip
        self._calls = ActorCalls(
            self._objects, self._registry, self._submission, self._outcomes, self._output, self._fleet, outbox, deadlines
        )
        self._actors = Actors(
            self._objects, self._registry, self._submission, self._outcomes, self._calls, self._pool, self._fleet, outbox
        )
        self._actor_answers = ActorAnswers(self._actors, self._objects)
        self._placement.on_host = self._actors.placed
        self._cancellation = Cancellation(
            self._objects, self._turns, self._fleet, self._worker_queues, self._outcomes, self._calls, outbox, deadlines,
            config.cancel_grace,
        )  # fmt: skip
        self._gangs.on_arrived = self._outcomes.arrived
        self._gangs.on_removed = self._end_gang
        self._gangs.is_used = self._is_gang_used
        self._cancels = CancelRequests(self._objects, self._cancellation, outbox, deadlines)
        self._worker_queues.on_timeout = self._cancellation.time_out
        self._prompts = Prompts(self._output, self._worker_queues, outbox, deadlines)
        self._worker_queues.waited = self._prompts.waited
        self._memory_guard = MemoryGuard(config.memory_threshold, self._fleet, self._outcomes.retries)
        self._spilling.in_use = self._fleet.needed
        self._spilling.on_pressed = self._worker_queues.empty
        self._streams = Streams(self._objects, self._processes, outbox, self._cancellation.stop_one)
        self._lifetime = Lifetime(config.linger, self._jobs, outbox, deadlines)
        self._membership = Membership(
            config.epoch, self._processes, self._jobs, self._fleet, self._pool, self._objects, self._extents, self._registry,
            self._outcomes, self._actors, self._cancels, self._gangs, self._streams, self._output, self._lifetime, outbox,
        )  # fmt: skip
        self._reports = Reports(self._outcomes, self._actors, self._worker_queues, self._cancellation, self._output)
        self._set_up_answers()
        self._on_event = self._event_table()
        self._on_message = self._message_table()

    def _set_up_answers(self) -> None:
        """What people ask for: the tables as they are now, and as they were."""
        config = self._config
        self._pictures = Pictures(
            config.epoch, config.store_limit, self._jobs, self._fleet, self._pool, self._gangs, self._objects,
            self._extents, self._actor_answers.table,
        )  # fmt: skip
        self._listings = Listings(
            self._jobs, self._fleet, self._objects, self._registry, self._outcomes.records, self._processes,
            self._actors.table,
        )
        answers: dict[str, Callable[[messages.Ask], object]] = {
            "snapshot": lambda message: self.snapshot(self._deadlines.now),
            "cell_runs": lambda message: self._pictures.cell_runs(self._deadlines.now),
            "gangs": lambda message: self._gangs.table(),
            "gang": lambda message: self._gangs.named(message.text),
            "tasks": lambda message: self._listings.tasks(message.argument, message.text),
            "objects": lambda message: self._listings.objects(message.argument),
            "started": lambda message: {"started": self._cancellation.has_started(ObjectId(message.argument))},
            "renew": lambda message: {"workers": self._renew()},
            "reply": self._prompts.reply,
        }
        left_work = LeftWork(self._jobs, self._objects, self._output, self._pictures, self._deadlines)
        self._questions = Questions(answers, (self._actor_answers, left_work), self._outbox)

    def _event_table(self) -> dict[type, Callable[[Any], None]]:
        return {
            Started: lambda event: self._membership.start(),
            Joined: lambda event: self._membership.join(event.process, event.hello),
            Received: self._received,
            Left: self._left,
            StarterLeft: lambda event: self._lifetime.starter_left(),
            WorkerForked: lambda event: self._fleet.forked(event.slot, event.pid),
            WorkerExited: lambda event: self._membership.worker_exited(self._memory_guard.explained(event)),
            Tick: lambda event: self._deadlines.run_due(),
            MemoryHeadroom: lambda event: self._extents.set_headroom(event.bytes),
            MemoryUsed: lambda event: self._memory_guard.look(event.available, event.total, event.workers),
            SpillDone: lambda event: self._spilling.spill_done(event.object_id, event.checksum),
            SpillFailed: lambda event: self._spilling.spill_failed(event.object_id, event.reason),
            RestoreDone: lambda event: self._spilling.restore_done(event.object_id),
            RestoreFailed: lambda event: self._spilling.restore_failed(event.object_id, event.reason, damaged=event.damaged),
        }

    def _message_table(self) -> dict[type, Callable[[Process, Any], None]]:
        return {
            messages.DescribeCellRun: self._describe_cell_run,
            messages.NoteCellRun: lambda process, message: self._jobs.run(self._job_of(process), message.cell_run).note(
                message.note
            ),
            messages.RegisterFunction: lambda process, message: self._registry.add_function(process, message),
            messages.RegisterTemplate: self._register_template,
            messages.ForgetTemplates: lambda process, message: self._registry.forget(process.process_id, message.template_ids),
            messages.Submit: lambda process, message: self._submission.submit(process, message.tasks),
            messages.Put: self._put,
            messages.Allocate: lambda process, message: self._spilling.allocate(process, message.request_id, message.size),
            messages.GiveBack: lambda process, message: self._extents.give_back(process, message.offset),
            messages.Finished: self._reports.finished,
            messages.TakenBack: self._reports.taken_back,
            messages.Blocked: self._reports.blocked,
            messages.Unblocked: self._reports.unblocked,
            messages.Held: self._held,
            messages.Released: lambda process, message: self._objects.release(process, message.object_ids),
            messages.Subscribe: lambda process, message: self._objects.subscribe(process, message.object_ids),
            messages.Fetch: self._fetch,
            messages.LetGone: lambda process, message: self._spilling.let_gone(
                process.process_id, message.request_id, message.in_use
            ),
            messages.Cancel: self._cancel,
            messages.Ask: self._ask,
            messages.Output: self._reports.printed,
            messages.Yielded: lambda process, message: self._streams.yielded(process, message),
            messages.Consumed: lambda process, message: self._streams.consumed(process, message),
            messages.CreateGang: lambda process, message: self._gangs.create(process, self._job_of(process), message),
            messages.RemoveGang: lambda process, message: self._gangs.remove(message.gang_id),
            messages.Scale: self._scale,
            messages.CreateActor: lambda process, message: self._actors.create(process, self._job_of(process), message),
            messages.Call: self._call,
            messages.KillActor: lambda process, message: self._actors.kill(message),
            messages.ExitActor: lambda process, message: self._actors.exit(process, message.actor_id),
            messages.Goodbye: lambda process, message: self._membership.goodbye(
                process, stop=message.stop, now=self._deadlines.now
            ),
        }

    # ---------------------------------------------------------------- the three public ones

    def handle(self, event: Event, now: float) -> list[Action]:
        """What must be done about the event; `now` is in seconds of a clock that never goes back."""
        self._deadlines.now = now
        kind = type(event.message) if type(event) is Received else type(event)
        self._recent.append((now, kind.__name__))
        try:
            self._on_event[type(event)](event)
            if self._calls.due:
                self._actors.look()
            if self._gangs.gangs:
                self._gangs.look()
            self._placement.dispatch()
            if self._spilling.waiting:
                self._spilling.serve()
            if self._calls.due:  # what could not be placed, or was in a gang that has ended
                self._actors.look()
                self._placement.dispatch()
            if self._cancels.unanswered:
                self._cancels.answer_finished()
            if self._lifetime.alone:
                self._lifetime.look()
        except InternalError as error:
            recent = ", ".join(f"{name} at {when:.3f}" for when, name in self._recent)
            error.add_note(f"while handling {event!r:.500}; the last events were: {recent}")
            raise
        return self._outbox.take()

    def next_deadline(self) -> float | None:
        """When a Tick is due; None when nothing waits for time to pass."""
        return self._deadlines.next()

    def has_a_core_to_spare(self) -> bool:
        """Whether at most one worker has something to do."""
        return self._fleet.working() <= 1

    def snapshot(self, now: float) -> ClusterSnapshot:
        """A picture of all tables, for people."""
        return self._pictures.cluster(now)

    # ---------------------------------------------------------------- drivers and tasks

    def _describe_cell_run(self, process: Process, message: messages.DescribeCellRun) -> None:
        self._jobs.run(self._job_of(process), message.cell_run).label = message.label

    def _register_template(self, process: Process, message: messages.RegisterTemplate) -> None:
        run = self._jobs.run(self._job_of(process), message.template.cell_run)
        self._registry.add_template(process, message.template, run)

    def _call(self, process: Process, message: messages.Call) -> None:
        actor = self._calls.table.get(message.actor_id)
        if actor is not None:
            self._calls.call(process, actor, message.tasks)
        else:
            self._calls.call_nobody(process, message.actor_id, message.tasks)

    def _held(self, process: Process, message: messages.Held) -> None:
        actor = process.worker.actor if process.worker is not None else None
        object_ids = message.object_ids
        if actor is not None:  # a handle that an actor has of itself does not keep it alive
            object_ids = [object_id for object_id in object_ids if object_id != actor.actor_id]
        self._objects.hold(process, object_ids)

    def _put(self, process: Process, message: messages.Put) -> None:
        head = process.worker.head if process.worker is not None else None
        self._objects.put(process, message.object_id, message.value, head.run if head is not None else None)

    def _fetch(self, process: Process, message: messages.Fetch) -> None:
        entry = self._objects.entries.get(message.object_id)
        value = lost(message.object_id) if entry is None else entry.value
        if entry is not None and type(value) is messages.Spilled:
            self._spilling.fetch(process, message.request_id, entry)
        elif value is not None:
            self._outbox.send(process.process_id, messages.Fetched(message.request_id, message.object_id, value))

    def _cancel(self, process: Process, message: messages.Cancel) -> None:
        self._cancels.cancel(process, self._job_of(process), message)

    def _ask(self, process: Process, message: messages.Ask) -> None:
        if message.question == "prompt":  # its answer comes when a person has given it
            self._prompts.ask(process, message)
        else:
            self._questions.ask(process, self._job_of(process), message)

    def _job_of(self, process: Process) -> Job:
        """A driver's own job; for a worker, the job of the task that it runs."""
        if process.job is not None:
            return process.job
        if process.worker is None:  # who only asks
            return self._jobs.job("")
        head, actor = process.worker.head, process.worker.actor
        if head is not None:
            return head.run.job
        return actor.run.job if actor is not None else self._jobs.job("")

    # ---------------------------------------------------------------- the rest

    def _received(self, event: Received) -> None:
        process = self._processes.get(event.process)
        if process is not None:
            self._on_message[type(event.message)](process, event.message)

    def _left(self, event: Left) -> None:
        process = self._processes.get(event.process)
        self._spilling.forget(event.process)
        self._membership.leave(event.process)
        if process is not None:
            self._prompts.left(process)

    def _renew(self) -> int:
        """From now on tasks run in workers that import everything anew; what is queued inside the old ones comes back."""
        for worker in self._fleet.workers.values():
            if worker.state is WorkerState.BUSY:
                self._worker_queues.ask_back(worker, list(worker.queue)[1:])
        return self._fleet.renew()

    def _scale(self, process: Process, message: messages.Scale) -> None:
        """Another number of workers, with one CPU each; busy ones beyond it end when they have been idle."""
        answer = {"error": self._too_small(message.least, message.most)}
        if not answer["error"]:
            self._pool.resize_cpus(message.most)
            self._fleet.resize(message.least, message.most)
            self._registry.look_again()
        self._outbox.send(process.process_id, messages.Answer(message.request_id, msgspec.msgpack.encode(answer)))

    def _too_small(self, least: int, most: int) -> str:
        """Why the cluster cannot have so few workers."""
        if not 1 <= least <= most:
            return f"at least {least} and at most {most} workers: expected 1 <= min_workers <= max_workers"
        if most > MOST_WORKERS:
            return f"{most} workers: at most {MOST_WORKERS} fit into one cluster"
        largest = self._registry.most_cpus()
        if largest > most * UNIT:
            return f"a task that has not ended needs {largest / UNIT:g} CPUs: cancel it first, or keep as many workers"
        reserved = sum(bundle.total.get(CPU, 0) for gang in self._gangs.gangs.values() for bundle in gang.bundles)
        if reserved > most * UNIT:
            return f"placement groups hold {reserved / UNIT:g} CPUs: remove them first, or keep as many workers"
        return ""

    # ---------------------------------------------------------------- gangs

    def _end_gang(self, gang: Gang) -> None:
        """What is queued in a gang that was removed fails, and what runs in it is killed."""
        self._registry.look_again()
        pending = [task for run in self._jobs.runs() for task in self._cancellation.pending(run)]
        inside = [task for task in pending if task.template.template.gang == gang.gang_id]
        self._cancellation.stop(inside, force=True, why=lambda task: removed(gang, task.template.name))
        for worker in list(self._fleet.workers.values()):
            if worker.reservoir in gang.bundles:
                self._fleet.kill(worker)

    def _is_gang_used(self, gang: Gang) -> bool:
        if any(worker.reservoir in gang.bundles for worker in self._fleet.workers.values()):
            return True
        templates = self._registry.templates.values()
        return any(template.live for template in templates if template.template.gang == gang.gang_id)
