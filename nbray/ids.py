"""The identifiers that travel: small integers, unique within one cluster, made without asking anybody.

An `ObjectId` is `process << 40 | counter`: the process that creates the object numbers it, so a submission needs no
round trip. A task is named by the id of its first return, its further returns by the ids that follow.
"""

from typing import NewType

ProcessId = NewType("ProcessId", int)
"""A driver or a worker, numbered by the scheduler when it says hello; 1 upward, never used again."""

ObjectId = NewType("ObjectId", int)
"""An object: `process << 40 | counter`."""

TaskId = ObjectId
"""A task bears the id of its first return."""

ActorId = ObjectId
"""An actor bears the id of the task that creates it, and handles are references to it."""

TemplateId = NewType("TemplateId", int)
"""A function with the options of its calls, registered once: `process << 32 | counter`."""

CellRunId = NewType("CellRunId", str)
"""One run of one cell: the msg_id of its execute_request, or `BACKGROUND`."""

BACKGROUND = CellRunId("background")
"""The cell run of a script, and of code that runs outside any cell."""

OBJECT_BITS = 40
TEMPLATE_BITS = 32
NO_TASK = ObjectId(0)


def object_id(process: ProcessId, counter: int) -> ObjectId:
    """The id of the object that `process` creates as its `counter`-th."""
    return ObjectId(process << OBJECT_BITS | counter)


def template_id(process: ProcessId, counter: int) -> TemplateId:
    """The id of the template that `process` registers as its `counter`-th."""
    return TemplateId(process << TEMPLATE_BITS | counter)


def creator(object_id: ObjectId) -> ProcessId:
    """The process that created an object."""
    return ProcessId(object_id >> OBJECT_BITS)


class Reference:
    """An ObjectRef as the layers below the API see it: the object's id and the epoch of its cluster."""

    __slots__ = ("epoch", "id")

    id: ObjectId
    epoch: str
