"""What the scheduler wants done: one frozen record for each; the process around it carries them out in order.

    action           carried out by
    ---------------  -------------------------------------------------------------------------------------------
    Admit            answering Hello with Welcome and the arena's descriptor
    Drop             answering Hello with Refused (request 0) and closing the connection
    Send             sending a message to a process; dropped silently when its connection is closed
    Fork             asking the zygote for a worker in a slot; answered by WorkerForked and later one WorkerExited
    Signal           signalling the worker of a slot: SIGINT to the process, SIGKILL to its whole session
    SetCancelWord    writing a task's id into the shared word of a slot that the worker's SIGINT handler compares
    Punch            giving an idle extent's pages back to the system
    Spill            copying an extent to disk; answered by SpillDone or SpillFailed
    Restore          filling an extent with what was copied to disk; answered by RestoreDone or RestoreFailed
    RemoveSpilled    removing an object's copy from the disk
    StopCluster      ending everything; nothing follows
"""

from __future__ import annotations

from typing import NamedTuple

from nbray.ids import ObjectId, ProcessId, TaskId
from nbray.scheduler.messages import Failure, FromScheduler


class Admit(NamedTuple):
    """The process belongs to the cluster from now on."""

    process: ProcessId


class Drop(NamedTuple):
    """The process does not belong here; no `Left` is expected for it."""

    process: ProcessId
    failure: Failure


class Send(NamedTuple):
    """A message for one process; messages to one process arrive in order."""

    process: ProcessId
    message: FromScheduler


class Fork(NamedTuple):
    """Start a worker; with `gpus`, it sees only those devices, and with a `profile` it has that environment, all its life."""

    slot: int
    gpus: tuple[int, ...] = ()
    profile: bytes = b""


class Signal(NamedTuple):
    """Signal the worker of a slot; nothing happens when it has ended already."""

    slot: int
    number: int


class SetCancelWord(NamedTuple):
    """From now on SIGINT interrupts the worker of the slot if it runs this task, and only then."""

    slot: int
    task_id: TaskId


class Punch(NamedTuple):
    """Give the pages of a free extent back to the system."""

    offset: int
    size: int


class Spill(NamedTuple):
    """Copy an object's bytes to disk; its extent stays as it is until that is answered."""

    object_id: ObjectId
    offset: int
    size: int


class Restore(NamedTuple):
    """Fill an extent with an object's bytes from disk, and compare their checksum."""

    object_id: ObjectId
    offset: int
    size: int
    checksum: int
    warm: bool
    """All the extent's pages hold memory already."""


class RemoveSpilled(NamedTuple):
    """The copy of an object on disk is not needed any more."""

    object_id: ObjectId


class StopCluster(NamedTuple):
    """End the cluster; the reason is for people."""

    reason: str


Action = Admit | Drop | Send | Fork | Signal | SetCancelWord | Punch | Spill | Restore | RemoveSpilled | StopCluster
