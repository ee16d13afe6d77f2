"""The life cycles of tasks, workers and actors: their states, the tables of allowed moves, and the functions that move.

    task                                                    worker

    WAITING --> QUEUED --> ASSIGNED --> SUCCEEDED           STARTING --> IDLE <--> BUSY <--> BLOCKED
       |          |  <------  |  |                              |         |         |           |
       |          |           |  +---> FAILED                   +---------+----+----+-----------+
       |          |           v           ^                                    v
       |          |       CANCELLING -----+                                STOPPING --> DEAD
       +----------+-----------+--------> CANCELLED

    actor                                                   a worker with an actor

    PENDING --> ALIVE <--> RESTARTING                       IDLE --> HOSTING <--> BLOCKED
       |          |            |                                        |            |
       +----------+----+-------+                                        +-----+------+
                       |                                                      v
                    EXITING --> DEAD (also straight from the others)       STOPPING
"""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from nbray.errors import InternalError


class TaskState(IntEnum):
    """Where a task stands; the last three are its outcomes."""

    NEW = 0
    WAITING = 1
    """Some of its dependencies do not exist yet, or its next attempt has to wait."""
    QUEUED = 2
    """It waits for a worker."""
    ASSIGNED = 3
    """It is in a worker's queue; the first one there is running, or was and its report is on the way."""
    CANCELLING = 4
    """It is in a worker's queue and must not go on."""
    SUCCEEDED = 5
    FAILED = 6
    CANCELLED = 7


class WorkerState(IntEnum):
    """Where a worker stands."""

    NEW = 0
    STARTING = 1
    """A fork was asked for."""
    IDLE = 2
    BUSY = 3
    """It has tasks and holds their resources."""
    BLOCKED = 4
    """Its task waits for objects; its CPUs are free meanwhile."""
    STOPPING = 5
    """It was told to exit, was killed, or its connection is gone; its end has not been reported."""
    DEAD = 6
    HOSTING = 7
    """It serves an actor, all its life; tasks are not its business any more."""


class ActorState(IntEnum):
    """Where an actor stands."""

    NEW = 0
    PENDING = 1
    """Its creation waits for dependencies, resources or a worker, or runs."""
    ALIVE = 2
    RESTARTING = 3
    """Its worker is gone; its creation is to run again."""
    EXITING = 4
    """It is about to end and takes no more calls; the end of its worker has not been reported."""
    DEAD = 5


class GangState(IntEnum):
    """Where a gang stands."""

    NEW = 0
    PENDING = 1
    """Its bundles wait until all of them can be set aside."""
    RESERVED = 2
    REMOVED = 3


State = TaskState | WorkerState | ActorState | GangState

TASK_MOVES: dict[TaskState, set[TaskState]] = {
    TaskState.NEW: {TaskState.WAITING, TaskState.QUEUED, TaskState.FAILED, TaskState.CANCELLED},
    TaskState.WAITING: {TaskState.QUEUED, TaskState.FAILED, TaskState.CANCELLED},
    TaskState.QUEUED: {TaskState.ASSIGNED, TaskState.FAILED, TaskState.CANCELLED},
    TaskState.ASSIGNED: {TaskState.WAITING, TaskState.QUEUED, TaskState.CANCELLING, TaskState.SUCCEEDED, TaskState.FAILED},
    TaskState.CANCELLING: {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED},
    TaskState.SUCCEEDED: set(),
    TaskState.FAILED: set(),
    TaskState.CANCELLED: set(),
}

WORKER_MOVES: dict[WorkerState, set[WorkerState]] = {
    WorkerState.NEW: {WorkerState.STARTING},
    WorkerState.STARTING: {WorkerState.IDLE, WorkerState.STOPPING, WorkerState.DEAD},
    WorkerState.IDLE: {WorkerState.BUSY, WorkerState.HOSTING, WorkerState.STOPPING},
    WorkerState.BUSY: {WorkerState.IDLE, WorkerState.BLOCKED, WorkerState.STOPPING},
    WorkerState.BLOCKED: {WorkerState.BUSY, WorkerState.HOSTING, WorkerState.STOPPING},
    WorkerState.STOPPING: {WorkerState.DEAD},
    WorkerState.DEAD: set(),
    WorkerState.HOSTING: {WorkerState.BLOCKED, WorkerState.STOPPING},
}

ACTOR_MOVES: dict[ActorState, set[ActorState]] = {
    ActorState.NEW: {ActorState.PENDING},
    ActorState.PENDING: {ActorState.ALIVE, ActorState.EXITING, ActorState.DEAD},
    ActorState.ALIVE: {ActorState.RESTARTING, ActorState.EXITING, ActorState.DEAD},
    ActorState.RESTARTING: {ActorState.ALIVE, ActorState.EXITING, ActorState.DEAD},
    ActorState.EXITING: {ActorState.DEAD},
    ActorState.DEAD: set(),
}


GANG_MOVES: dict[GangState, set[GangState]] = {
    GangState.NEW: {GangState.PENDING},
    GangState.PENDING: {GangState.RESERVED, GangState.REMOVED},
    GangState.RESERVED: {GangState.REMOVED},
    GangState.REMOVED: set(),
}


class Stateful(Protocol):
    """A task, a worker, an actor or a gang: its state, and the digits (base 16) of the states that it went through."""

    state: State
    trail: int


_TASK_ALLOWED = [[new in TASK_MOVES[old] for new in TaskState] for old in TaskState]
_WORKER_ALLOWED = [[new in WORKER_MOVES[old] for new in WorkerState] for old in WorkerState]
_ACTOR_ALLOWED = [[new in ACTOR_MOVES[old] for new in ActorState] for old in ActorState]


def move_task(task: Stateful, new: TaskState) -> None:
    """Move a task; its own function because it runs twice or more for every task (about 60 ns)."""
    if not _TASK_ALLOWED[task.state][new]:
        raise _illegal(task, new)
    task.state = new
    task.trail = task.trail * 16 + new


def move_worker(worker: Stateful, new: WorkerState) -> None:
    """Move a worker; an illegal move raises InternalError with the worker, its state and its history."""
    if not _WORKER_ALLOWED[worker.state][new]:
        raise _illegal(worker, new)
    worker.state = new
    worker.trail = worker.trail % 16**12 * 16 + new


def move_actor(actor: Stateful, new: ActorState) -> None:
    """Move an actor; an illegal move raises as for workers."""
    if not _ACTOR_ALLOWED[actor.state][new]:
        raise _illegal(actor, new)
    actor.state = new
    actor.trail = actor.trail % 16**12 * 16 + new


def move_gang(gang: Stateful, new: GangState) -> None:
    """Move a gang; an illegal move raises InternalError, as for a worker."""
    if new not in GANG_MOVES[GangState(gang.state)]:
        raise _illegal(gang, new)
    gang.state = new
    gang.trail = gang.trail * 16 + new


def history(thing: Stateful) -> list[str]:
    """The names of the last states, oldest first."""
    kind = type(thing.state)
    digits = f"{thing.trail:x}" if thing.trail else ""
    return [kind(int(digit, 16)).name for digit in digits[-12:]]


def _illegal(thing: Stateful, new: State) -> InternalError:
    return InternalError(
        f"{thing!r} cannot move from {thing.state.name} to {new.name}; its states so far: {' > '.join(history(thing))}"
    )
