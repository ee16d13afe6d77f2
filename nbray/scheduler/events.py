"""What happens to the scheduler: one frozen record for each thing that the process around it may report.

    event            reported when
    ---------------  -------------------------------------------------------------------------------------------
    Started          once, first of all: the scheduler answers with the forks of its workers
    Joined           a connection said Hello; the process around chose a number that was never used before
    Received         a message of a process that joined, in the order in which the process sent them
    Left             a connection is closed; comes after every message that the process sent, once
    StarterLeft      who started the cluster has ended, whether it had joined by then or not
    WorkerForked     the zygote forked the worker of a slot (before or after it joins)
    WorkerExited     the zygote reaped the worker of a slot; once for each Fork, also when the fork failed
    MemoryHeadroom   how many bytes the machine or cgroup can still populate
    MemoryUsed       how much memory is free, and how much of it each worker has taken
    SpillDone        a Spill was carried out
    SpillFailed      ... or could not be, and left nothing on the disk
    RestoreDone      a Restore was carried out, and the bytes are what they were
    RestoreFailed    ... or could not be
    Tick             `next_deadline()` has come (an early or needless Tick does no harm)

Two orders matter. `Left` of a worker comes after all its messages, since results that it sent before it died count.
A worker's messages come in the order of what it did (`Finished` of a task before the `Submit` of the next), since the
first task in its queue is taken for the one that submits.
"""

from __future__ import annotations

from typing import NamedTuple

from nbray.ids import NO_TASK, ObjectId, ProcessId, TaskId
from nbray.scheduler.messages import Hello, ToScheduler


class Started(NamedTuple):
    """The process around the scheduler is ready to fork workers."""


class Joined(NamedTuple):
    """A driver or a worker said Hello; the answer is `Admit` or `Drop`."""

    process: ProcessId
    hello: Hello


class Received(NamedTuple):
    """A message other than Hello; messages of a process that is not (or no longer) known are ignored."""

    process: ProcessId
    message: ToScheduler


class Left(NamedTuple):
    """The connection of a process is closed and everything that it sent has been reported."""

    process: ProcessId


class StarterLeft(NamedTuple):
    """The process that started the cluster is gone; when it never joined, nobody knows of the cluster."""


class WorkerForked(NamedTuple):
    """The worker of a slot exists."""

    slot: int
    pid: int


class WorkerExited(NamedTuple):
    """The worker of a slot has ended; its log has been read to the end."""

    slot: int
    exit_code: int | None
    """None when a signal ended it."""
    signal: int | None = None
    started: TaskId = NO_TASK
    """The last task that the worker wrote in its word before it started it."""
    log_tail: str = ""
    """The last lines of its log."""
    out_of_memory: int = 0
    """When the system ended it because memory ran out: the bytes that it had at the last look, at least 1."""
    broken: str = ""
    """When it was ended because it sent what is no message: what was wrong with that."""


class Tick(NamedTuple):
    """Time has passed."""


class MemoryHeadroom(NamedTuple):
    """How much memory can still be populated before the system kills somebody."""

    bytes: int


class MemoryUsed(NamedTuple):
    """Bytes that are free of all that may be used, and those that each worker has for itself, by slot."""

    available: int
    total: int
    workers: dict[int, int]


class SpillDone(NamedTuple):
    """An object's bytes are on disk."""

    object_id: ObjectId
    checksum: int


class SpillFailed(NamedTuple):
    """The disk did not take an object, for example because it is full; the reason is for people."""

    object_id: ObjectId
    reason: str


class RestoreDone(NamedTuple):
    """An object's bytes are in the extent that it was given."""

    object_id: ObjectId


class RestoreFailed(NamedTuple):
    """They are not; those that are `damaged` will never be."""

    object_id: ObjectId
    reason: str
    damaged: bool


Event = (
    Started | Joined | Received | Left | StarterLeft | WorkerForked | WorkerExited | Tick | MemoryHeadroom | MemoryUsed
    | SpillDone | SpillFailed | RestoreDone | RestoreFailed
)  # fmt: skip
