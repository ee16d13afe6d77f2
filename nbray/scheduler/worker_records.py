"""One worker: what it is, what it has, and what is known of it until its end has been reported."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from nbray.ids import TaskId, TemplateId
from nbray.scheduler.cell_runs import CellRun
from nbray.scheduler.events import WorkerExited
from nbray.scheduler.pool import Reservoir, Shape
from nbray.scheduler.processes import Process
from nbray.scheduler.states import State, WorkerState
from nbray.scheduler.tasks import Task

if TYPE_CHECKING:
    from nbray.scheduler.actor_records import Actor

ENDED_TASKS = 2000
"""Ended tasks of each worker that are remembered: for lists, and for output that comes late."""

Ended = tuple[TaskId, CellRun, str, int, float, int, TaskId]
"""A task that a worker has reported: its id, cell run and name, microseconds, when it was reported, which attempt, its parent."""


class Worker:
    """One worker process, from the request to fork it until its end has been reported."""

    __slots__ = (
        "actor", "asked", "backlog", "calls", "closed", "due", "ended", "exited", "functions", "gave_cpus", "gpus", "head_since",
        "idle_since", "leaving", "left", "limit", "limit_due", "meant_for", "pid", "process", "profile", "queue",
        "reservoir", "shape", "slot", "state", "templates", "trail",
    )  # fmt: skip

    def __init__(self, slot: int, gpus: tuple[int, ...] = (), profile: bytes = b"", meant_for: Shape | None = None) -> None:
        self.slot = slot
        self.gpus = gpus
        """The only devices that it sees, all its life."""
        self.profile = profile
        """The environment that it was started with, all its life; opaque here."""
        self.meant_for = meant_for
        """The tasks for which it was started with these."""
        self.state: State = WorkerState.NEW
        self.trail = 0
        self.pid = 0
        self.process: Process | None = None
        self.left = False
        """Its connection is closed and all its messages have been handled."""
        self.exited: WorkerExited | None = None
        self.closed = False
        """One of its tasks is being cancelled: it gets no new one meanwhile."""
        self.leaving = ""
        """When set, why it gets no new task and ends with its last one."""
        self.calls: dict[bytes, int] = {}
        """How often it was given those functions after so many calls of which a worker is replaced."""
        self.actor: Actor | None = None
        """The actor whose worker it is; its creation stands in the queue, its calls do not."""
        self.queue: deque[Task] = deque()
        """Its tasks in the order in which it runs them; the first one is taken to be running."""
        self.shape: Shape | None = None
        """The shape of task whose resources it holds."""
        self.reservoir: Reservoir | None = None
        """Where these were drawn from."""
        self.gave_cpus = False
        """It holds them except for the CPUs, because its task waits."""
        self.backlog = 0.0
        """Seconds of work in the queue, as far as known."""
        self.due = 0.0
        """When the queue should be empty."""
        self.limit: tuple[float, Task, int] | None = None
        """When the time is up of its task with a time limit, the task, and its attempt."""
        self.limit_due = float("inf")
        """When the limit is looked at next."""
        self.asked = 0
        """How often it was asked to give tasks back and has not answered; it gets no new ones meanwhile."""
        self.head_since = 0.0
        self.idle_since = 0.0
        self.templates: set[TemplateId] = set()
        """What it has been taught."""
        self.functions: set[bytes] = set()
        self.ended: deque[Ended] = deque(maxlen=ENDED_TASKS)
        """Its last tasks."""

    def __repr__(self) -> str:
        return f"<{self.name} {self.state.name}, {len(self.queue)} tasks>"

    @property
    def name(self) -> str:
        """What people read."""
        return f"worker {self.slot} (pid {self.pid})"

    @property
    def open(self) -> bool:
        """Whether it may get more tasks while it has some."""
        return not (self.closed or self.leaving)

    @property
    def plain(self) -> bool:
        """Whether it is like most: without a profile, and without GPUs."""
        return not (self.gpus or self.profile)

    @property
    def head(self) -> Task | None:
        """The task that it runs, where that is certain."""
        if self.queue:
            return self.queue[0]
        return self.actor.head if self.actor is not None else None

    def running(self) -> Iterable[Task]:
        """What it is taken to be running: its first task, or as many of its actor's calls as may run at a time."""
        if self.queue:
            return (self.queue[0],)
        actor = self.actor
        return list(actor.running.values())[: actor.spec.max_concurrency] if actor is not None else ()

    @property
    def inside(self) -> int:
        """How many tasks, or calls of its actor, it has."""
        return len(self.queue) + (len(self.actor.running) if self.actor is not None else 0)

    @property
    def serving(self) -> bool:
        """Whether it hosts an actor that has something to do."""
        return self.actor is not None and bool(self.queue or self.actor.running)


def cause(exited: WorkerExited) -> str:
    """How a worker ended, in words: "SIGKILL (signal 9)" or "exit code 3"."""
    if exited.signal is None:
        return f"exit code {exited.exit_code}"
    try:
        return f"{signal.Signals(exited.signal).name} (signal {exited.signal})"
    except ValueError:
        return f"signal {exited.signal}"
