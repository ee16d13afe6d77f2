"""What the scheduler knows of one task, of the function that it calls and of the template of its call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from nbray.ids import NO_TASK, ObjectId, ProcessId, TaskId, TemplateId
from nbray.scheduler.messages import Failure, TaskSpec, Template
from nbray.scheduler.states import State, TaskState

if TYPE_CHECKING:
    from nbray.scheduler.cell_runs import CellRun
    from nbray.scheduler.fairness import Line
    from nbray.scheduler.ownership import ObjectEntry
    from nbray.scheduler.pool import Shape
    from nbray.scheduler.streams import Stream
    from nbray.scheduler.worker_records import Worker

UNKNOWN = float("inf")
"""The mean duration of a function that has never run."""


class Function:
    """A pickled function, kept while somebody may still call it."""

    __slots__ = ("blob", "key", "mean", "name", "nested", "users")

    def __init__(self, key: bytes, name: str, blob: bytes) -> None:
        self.key = key
        self.name = name
        self.blob = blob
        self.nested: list[ObjectId] = []
        """Objects that the blob refers to, kept alive with it."""
        self.users: dict[ProcessId, int] = {}
        """How many templates of this function each process has that registered it."""
        self.mean = UNKNOWN
        """Running mean of its duration in seconds, quick to rise and slow to fall."""

    def learn(self, seconds: float) -> None:
        """Take one more duration into the mean."""
        mean = self.mean
        if mean == UNKNOWN:
            self.mean = seconds
        else:
            self.mean = mean + (seconds - mean) * (0.5 if seconds > mean else 0.1)


class CallTemplate:
    """A registered template with what every one of its tasks needs, looked up once."""

    __slots__ = (
        "forgotten", "function", "infeasible", "live", "name", "plain", "priority", "process", "run", "shape", "template",
        "template_id",
        "values", "watched",
    )  # fmt: skip

    def __init__(
        self, template: Template, process: ProcessId, function: Function, run: CellRun, shape: Shape, infeasible: str
    ) -> None:
        self.template = template
        self.template_id: TemplateId = template.template_id
        self.name = template.name
        self.process = process
        self.function = function
        self.run = run
        self.shape = shape
        self.infeasible = ""
        """Why its tasks can never run; empty when they can."""
        self.priority = template.priority
        self.watched = bool(template.timeout or template.max_calls)
        """Its tasks need a closer look when they are given to a worker."""
        self.live = 0
        """Its tasks that have not ended."""
        self.forgotten = False
        """No more calls will come."""
        self.values = template.num_returns if template.num_returns >= 0 else 1
        """How many values a result has."""
        self.plain = False
        """Its tasks can take the short way through a submission."""
        self.judge(infeasible)

    def judge(self, infeasible: str) -> None:
        """Why its tasks can never run, as things stand now; empty when they can."""
        self.infeasible = infeasible
        self.plain = self.template.num_returns == 1 and not infeasible and not self.template.gang


class Task(msgspec.Struct, gc=False, eq=False):
    """One task; the references to other records are cleared when it ends, so there are no cycles to collect."""

    task_id: TaskId
    spec: TaskSpec
    template: CallTemplate
    run: CellRun
    entry: ObjectEntry
    """The entry of its first return."""
    retries: int
    """Re-runs left after its worker died or it failed with a retriable exception; -1: no limit."""
    state: State = TaskState.NEW
    trail: int = 0
    attempt: int = 1
    missing: int = 0
    """Dependencies that do not exist yet."""
    worker: Worker | None = None
    charged: float = 0.0
    """Seconds for which its cell run was charged when it was assigned."""
    parent: TaskId = NO_TASK
    """The task that submitted it."""
    verdict: Failure | None = None
    """While CANCELLING: the failure that it will end with."""
    interrupted: bool = False
    """While CANCELLING: its worker was signalled."""
    force: bool = False
    """While CANCELLING: kill, do not ask."""
    stream: Stream | None = None
    """What it has yielded so far, if anything."""
    deaths: tuple[str, ...] = ()
    """How the workers ended that its earlier attempts took with them, the latest last."""

    def __repr__(self) -> str:
        return f"<task {self.template.name} {self.task_id:#x} {self.state.name}, attempt {self.attempt}>"

    @property
    def line(self) -> Line:
        """Where it queues."""
        priority = self.template.priority
        return self.run.line_of(priority) if priority else self.run.line

    @property
    def returns(self) -> list[ObjectId]:
        """The ids of its returns; a task without any still has an entry under its own id."""
        return [ObjectId(self.task_id + place) for place in range(max(1, self.template.template.num_returns))]
