"""The scheduler: one pure state machine, `handle(event, now) -> actions`, put together from the tables beside this file.

    Submit ──> submission ──> turns (fairness) ──> placement ──> worker ──> outcomes ──> objects (ownership) ──> Ready
                    registry ──────────────────────────┘            │
    Cancel ──> cancellation ──> placement, fleet (workers)          └──> cell runs ──> pictures

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
from nbray.resources import UNIT
from nbray.scheduler import messages
from nbray.scheduler.actions import Action
from nbray.scheduler.cancellation import Cancellation
from nbray.scheduler.cell_runs import Job, Jobs
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.events import Event, Joined, Left, MemoryHeadroom, Received, Started, Tick, WorkerExited, WorkerForked
from nbray.scheduler.extents import Allocator, Extents
from nbray.scheduler.fairness import Turns
from nbray.scheduler.lifetime import Lifetime
from nbray.scheduler.listings import Listings
from nbray.scheduler.membership import Membership
from nbray.scheduler.outcomes import Outcomes
from nbray.scheduler.output import OutputDesk
from nbray.scheduler.ownership import Objects
from nbray.scheduler.pictures import Pictures
from nbray.scheduler.placement import Placement
from nbray.scheduler.pool import Pool
from nbray.scheduler.processes import Outbox, Process
from nbray.scheduler.registry import Registry
from nbray.scheduler.states import WorkerState
from nbray.scheduler.streams import Streams
from nbray.scheduler.submission import Submission
from nbray.scheduler.worker_queues import WorkerQueues
from nbray.scheduler.workers import Fleet, Worker
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
        self._objects = Objects(self._extents, self._processes, outbox)
        self._jobs = Jobs(self._objects)
        self._fleet = Fleet(config.num_workers, outbox, deadlines)
        self._registry = Registry(self._objects, self._pool, self._fleet, outbox)
        self._output = OutputDesk(config.run_directory, config.output_limit, outbox)
        self._outcomes = Outcomes(self._objects, self._registry, self._turns, self._output, deadlines)
        self._submission = Submission(self._objects, self._registry, self._turns, self._outcomes, outbox, deadlines)
        self._worker_queues = WorkerQueues(self._pool, self._fleet, self._outcomes, outbox, deadlines)
        self._placement = Placement(
            self._turns, self._pool, self._fleet, self._objects, self._registry, self._outcomes, self._worker_queues, outbox,
            deadlines, config.prefetch_seconds,
        )  # fmt: skip
        self._cancellation = Cancellation(
            self._objects, self._turns, self._fleet, self._worker_queues, self._outcomes, outbox, deadlines,
            config.cancel_grace,
        )  # fmt: skip
        self._worker_queues.on_timeout = self._cancellation.time_out
        self._streams = Streams(self._objects, self._processes, outbox)
        self._streams.on_unwanted = lambda task: self._cancellation.stop([task], force=False)
        self._lifetime = Lifetime(config.linger, self._jobs, outbox, deadlines)
        self._membership = Membership(
            config.epoch, self._processes, self._jobs, self._fleet, self._pool, self._objects, self._extents, self._registry,
            self._outcomes, self._cancellation, self._streams, self._output, self._lifetime, outbox,
        )  # fmt: skip
        self._pictures = Pictures(
            config.epoch, config.store_limit, self._jobs, self._fleet, self._pool, self._objects, self._extents
        )
        self._listings = Listings(
            self._jobs, self._fleet, self._objects, self._registry, self._outcomes.records, self._processes
        )
        self._on_event = self._event_table()
        self._on_message = self._message_table()

    def _event_table(self) -> dict[type, Callable[[Any], None]]:
        return {
            Started: lambda event: self._membership.start(),
            Joined: lambda event: self._membership.join(event.process, event.hello),
            Received: self._received,
            Left: lambda event: self._membership.leave(event.process),
            WorkerForked: lambda event: self._fleet.forked(event.slot, event.pid),
            WorkerExited: lambda event: self._membership.worker_exited(event),
            Tick: lambda event: self._deadlines.run_due(),
            MemoryHeadroom: lambda event: self._extents.set_headroom(event.bytes),
        }

    def _message_table(self) -> dict[type, Callable[[Process, Any], None]]:
        return {
            messages.DescribeCellRun: self._describe_cell_run,
            messages.RegisterFunction: lambda process, message: self._registry.add_function(process, message),
            messages.RegisterTemplate: self._register_template,
            messages.ForgetTemplates: lambda process, message: self._registry.forget(process.process_id, message.template_ids),
            messages.Submit: lambda process, message: self._submission.submit(process, message.tasks),
            messages.Put: self._put,
            messages.Allocate: lambda process, message: self._extents.allocate(process, message.request_id, message.size),
            messages.GiveBack: lambda process, message: self._extents.give_back(process, message.offset),
            messages.Finished: self._finished,
            messages.TakenBack: self._taken_back,
            messages.Blocked: self._blocked,
            messages.Unblocked: self._unblocked,
            messages.Held: lambda process, message: self._objects.hold(process, message.object_ids),
            messages.Released: lambda process, message: self._objects.release(process, message.object_ids),
            messages.Subscribe: lambda process, message: self._objects.subscribe(process, message.object_ids),
            messages.Cancel: self._cancel,
            messages.Ask: self._ask,
            messages.Output: self._print,
            messages.Yielded: lambda process, message: self._streams.yielded(process, message),
            messages.Consumed: lambda process, message: self._streams.consumed(process, message),
            messages.Goodbye: lambda process, message: self._membership.goodbye(process, stop=message.stop),
        }

    # ---------------------------------------------------------------- the three public ones

    def handle(self, event: Event, now: float) -> list[Action]:
        """What must be done about the event; `now` is in seconds of a clock that never goes back."""
        self._deadlines.now = now
        kind = type(event.message) if type(event) is Received else type(event)
        self._recent.append((now, kind.__name__))
        try:
            self._on_event[type(event)](event)
            self._placement.dispatch()
            if self._cancellation.unanswered:
                self._cancellation.answer_finished()
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
        return len(self._fleet.workers) - len(self._fleet.idle) <= 1

    def snapshot(self, now: float) -> ClusterSnapshot:
        """A picture of all tables, for people."""
        return self._pictures.cluster(now)

    # ---------------------------------------------------------------- workers

    def _finished(self, process: Process, message: messages.Finished) -> None:
        worker = process.worker
        if worker is not None:
            self._outcomes.finished(worker, message.results)
            self._after_progress(worker)

    def _taken_back(self, process: Process, message: messages.TakenBack) -> None:
        worker = process.worker
        if worker is not None:
            self._worker_queues.taken_back(worker, message.task_ids)
            self._after_progress(worker)

    def _after_progress(self, worker: Worker) -> None:
        self._worker_queues.progressed(worker)
        self._cancellation.look_at(worker)

    def _blocked(self, process: Process, message: messages.Blocked) -> None:
        if process.worker is not None:
            self._worker_queues.blocked(process.worker, message.task_id)

    def _unblocked(self, process: Process, message: messages.Unblocked) -> None:
        if process.worker is not None:
            self._worker_queues.unblocked(process.worker)

    def _print(self, process: Process, message: messages.Output) -> None:
        if process.worker is not None:
            self._output.forward(process.worker, message)

    # ---------------------------------------------------------------- drivers and tasks

    def _describe_cell_run(self, process: Process, message: messages.DescribeCellRun) -> None:
        self._jobs.run(self._job_of(process), message.cell_run).label = message.label

    def _register_template(self, process: Process, message: messages.RegisterTemplate) -> None:
        run = self._jobs.run(self._job_of(process), message.template.cell_run)
        self._registry.add_template(process, message.template, run)

    def _put(self, process: Process, message: messages.Put) -> None:
        head = process.worker.head if process.worker is not None else None
        self._objects.put(process, message.object_id, message.value, head.run if head is not None else None)

    def _cancel(self, process: Process, message: messages.Cancel) -> None:
        self._cancellation.cancel(process, self._job_of(process), message)

    def _job_of(self, process: Process) -> Job:
        """A driver's own job; for a worker, the job of the task that it runs."""
        if process.job is not None:
            return process.job
        assert process.worker is not None
        head = process.worker.head
        return head.run.job if head is not None else self._jobs.job("")

    # ---------------------------------------------------------------- the rest

    def _received(self, event: Received) -> None:
        process = self._processes.get(event.process)
        if process is not None:
            self._on_message[type(event.message)](process, event.message)

    def _ask(self, process: Process, message: messages.Ask) -> None:
        answer: object
        if message.question == "snapshot":
            answer = self.snapshot(self._deadlines.now)
        elif message.question == "cell_runs":
            answer = self._pictures.cell_runs(self._deadlines.now)
        elif message.question == "tasks":
            answer = self._listings.tasks(message.argument, message.text)
        elif message.question == "objects":
            answer = self._listings.objects(message.argument)
        elif message.question == "scale":
            answer = self._scale(message.argument)
        elif message.question == "started":
            answer = {"started": self._cancellation.has_started(ObjectId(message.argument))}
        elif message.question == "renew":
            answer = {"workers": self._renew()}
        else:
            known = "snapshot, cell_runs, tasks, objects, started, scale or renew"
            answer = {"error": f"nobody here can answer {message.question!r}: ask for {known}"}
        self._outbox.send(process.process_id, messages.Answer(message.request_id, msgspec.msgpack.encode(answer)))

    def _renew(self) -> int:
        """From now on tasks run in workers that import everything anew; what is queued inside the old ones comes back."""
        for worker in self._fleet.workers.values():
            if worker.state is WorkerState.BUSY:
                self._worker_queues.ask_back(worker, list(worker.queue)[1:])
        return self._fleet.renew()

    def _scale(self, workers: int) -> dict[str, object]:
        """So many workers, with one CPU each, from now on; busy ones beyond it end when they have been idle."""
        if workers < 1:
            return {"error": f"a cluster of {workers} workers cannot run anything: ask for 1 or more"}
        largest = max((line_cpus for line_cpus in self._turns.cpus()), default=0)
        if largest > workers * UNIT:
            return {"error": f"a queued task needs {largest / UNIT:g} CPUs: cancel it first, or keep as many workers"}
        self._pool.resize_cpus(workers)
        self._fleet.target = workers
        self._fleet.fill()
        self._fleet.retire(idle_for=0.0)
        return {"workers": workers}
