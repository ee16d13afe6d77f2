"""What the scheduler knows of one actor, of the tasks that create it, and of its calls."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from nbray.ids import ActorId, ObjectId, ProcessId, TaskId
from nbray.scheduler.messages import ActorSpec, Failure, TaskSpec
from nbray.scheduler.states import ActorState, State
from nbray.scheduler.tasks import CallTemplate, Task

if TYPE_CHECKING:
    from nbray.scheduler.cell_runs import CellRun
    from nbray.scheduler.worker_records import Worker

WINDOW = 1000
"""Calls that may be inside a worker, where not more of them may run at a time."""


class Creation(Task, gc=False, eq=False):
    """The task that makes an actor's instance; a restart is a new one."""

    actor: Actor | None = None
    """Cleared when the actor is dead, so that the two do not keep each other."""


class Call(Task, gc=False, eq=False):
    """A call of a method; it waits in its actor's queues instead of a line."""

    actor: Actor | None = None
    caller: ProcessId = ProcessId(0)


def is_restart(task: Task) -> bool:
    """Whether the task belongs to no cell any more: an actor that was alive is to be so again."""
    return type(task) is Creation and task.actor is not None and task.actor.state is ActorState.RESTARTING


def outlives_job(task: Task) -> bool:
    """Whether the task creates an actor that its job's end does not concern, or concerns through its handles."""
    return is_restart(task) or (type(task) is Creation and task.actor is not None and task.actor.spec.detached)


class Actor:
    """One actor, from its creation until it is dead and nobody has a handle any more."""

    __slots__ = (
        "actor_id", "asked", "blocked", "callers", "cancelling", "creation", "death", "draining", "few", "namespace", "orphaned",
        "pinned", "restarts", "restarts_left", "run", "running", "spec", "state", "task", "template", "trail", "unended",
        "waiting", "window", "worker",
    )  # fmt: skip

    def __init__(
        self, actor_id: ActorId, spec: ActorSpec, namespace: str, task: TaskSpec, template: CallTemplate | None, run: CellRun
    ) -> None:
        self.actor_id = actor_id
        self.spec = spec
        self.namespace = namespace
        self.task = task
        """What creates it, to be run again at a restart."""
        self.template = template
        self.run = run
        self.state: State = ActorState.NEW
        self.trail = 0
        self.creation: Creation | None = None
        """The task that creates it, until it is alive."""
        self.worker: Worker | None = None
        self.callers: dict[ProcessId, deque[Call]] = {}
        """Calls that are not in its worker, by the process that made them; ended ones stay in until their turn comes."""
        self.waiting: dict[TaskId, Call] = {}
        """With concurrency, those of its calls that wait for dependencies: they hold up nobody."""
        self.running: dict[TaskId, Call] = {}
        """Calls in its worker, in the order in which it got them; without concurrency the first one is running."""
        self.unended = 0
        """Accepted calls that have not ended; together they are one keeper of the actor."""
        self.window = max(WINDOW, 2 * spec.max_concurrency)
        self.few = 2 * spec.max_concurrency
        """With so many calls in its worker, it gets no more that have large arguments."""
        self.cancelling: set[TaskId] = set()
        """Those of its running calls that must not go on."""
        self.asked = 0
        """How often its worker was asked to give calls back and has not answered."""
        self.blocked = 0
        """Its calls that wait for objects."""
        self.restarts = 0
        self.restarts_left = spec.max_restarts
        self.pinned: list[ObjectId] = []
        """What it keeps alive to be able to restart, and itself if it is detached."""
        self.draining = False
        """It ends when its calls have."""
        self.orphaned = False
        """Nobody has a handle any more."""
        self.death: Failure | None = None
        """Why it takes no more calls, once that is so."""

    def __repr__(self) -> str:
        return f"<actor {self.label} {self.actor_id:#x} {self.state.name}, {self.unended} calls>"

    @property
    def label(self) -> str:
        """What people call it: "Counter", or "Counter 'totals'" where it has a name."""
        return f"{self.spec.class_name} {self.spec.name!r}" if self.spec.name else self.spec.class_name

    @property
    def concurrent(self) -> bool:
        """Whether several of its calls may run at a time, and end in any order."""
        return self.spec.concurrency != "sync"

    @property
    def head(self) -> Call | None:
        """The call that it runs, where that is certain."""
        return None if self.concurrent or not self.running else next(iter(self.running.values()))
