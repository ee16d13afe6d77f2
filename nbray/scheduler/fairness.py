"""Whose task is next: queued tasks by job and cell run, and the share that each has had.

    Turns ──> job ──> Line (one for each cell run) ──> a queue for each shape of task

Each job and each line has a clock of the service it has had: seconds of work times the part of the cluster that the work took.
The job with the least goes first, then its line with the least. One that had nothing to do comes back at the clock of
the one served last: idling saves nothing up. So a map of 100,000 tasks does not hold up a cell of one task, and a
choice costs a look at the jobs and lines that have work, however many tasks they have.

Priorities count within a job: a line of a higher one goes before all its lines of lower ones. A cell run has a line for each
priority, and nobody's priority takes anything from another notebook.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import attrgetter
from typing import Any, TypeVar

from nbray.scheduler.pool import Shape
from nbray.scheduler.states import TaskState
from nbray.scheduler.tasks import Task

_service = attrgetter("service")


class Share:
    """The lines of one job."""

    __slots__ = ("clocks", "lines", "service")

    def __init__(self) -> None:
        self.service = 0.0
        self.clocks: dict[int, float] = {}
        """Of the line served last, for each priority."""
        self.lines: dict[int, Line] = {}
        """Those that have queued tasks, by identity."""


class Line:
    """The queued tasks of one cell run that have one priority."""

    __slots__ = ("doomed", "priority", "queues", "service", "share", "size")

    def __init__(self, share: Share, priority: int = 0) -> None:
        self.share = share
        self.priority = priority
        self.service = 0.0
        self.size = 0
        self.queues: dict[Shape, deque[Task]] = {}
        """Cancelled tasks stay in them until their turn comes; `size` does not count them."""
        self.doomed: deque[deque[Task]] = deque()
        """Tasks that will be cancelled as soon as there is time for it: they get no turn, but are queued until then."""

    def head(self, shape: Shape) -> Task | None:
        """The next task of this shape."""
        queue = self.queues.get(shape)
        while queue:
            if queue[0].state is TaskState.QUEUED:
                return queue[0]
            queue.popleft()
        return None

    def shapes(self, full: Collection[Shape]) -> Iterator[Shape]:
        """Those that have a task and are not `full`; both may change while this goes on."""
        for shape in tuple(self.queues):
            if shape not in full and self.head(shape) is not None:
                yield shape

    def tasks(self) -> Iterator[Task]:
        """Every queued task."""
        for queue in (*self.queues.values(), *self.doomed):
            for task in queue:
                if task.state is TaskState.QUEUED:
                    yield task

    def doom(self) -> None:
        """No queued task of now gets a turn any more."""
        self.doomed.extend(queue for queue in self.queues.values() if queue)
        self.queues.clear()

    def doomed_tasks(self) -> Iterator[Task]:
        """Take the doomed tasks out one by one; who takes one must end it, or put it back in `spare`."""
        while self.doomed:
            queue = self.doomed[0]
            while queue:
                task = queue.popleft()
                if task.state is TaskState.QUEUED:
                    yield task
            if self.doomed and self.doomed[0] is queue:
                self.doomed.popleft()

    def spare(self, task: Task) -> None:
        """A doomed task gets its turn after all."""
        self.queues.setdefault(task.template.shape, deque()).append(task)

    def charge(self, seconds: float) -> None:
        """Count work, times the part of the cluster that it takes, for this line and its job."""
        self.service += seconds
        self.share.service += seconds


def _line_order(line: Line) -> tuple[int, float]:
    return -line.priority, line.service


_Served = TypeVar("_Served", Share, Line)


class Turns:
    """All queued tasks."""

    def __init__(self) -> None:
        self._shares: dict[int, Share] = {}
        self._clock = 0.0

    def __bool__(self) -> bool:
        return bool(self._shares)

    def add(self, line: Line, shape: Shape, tasks: Collection[Task]) -> None:
        """Put tasks, already QUEUED, at the end of a line."""
        if shape not in line.queues:
            line.queues[shape] = deque()
        line.queues[shape].extend(tasks)
        self._grow(line, len(tasks))

    def put_back(self, line: Line, shape: Shape, task: Task) -> None:
        """Put a task, already QUEUED again, at the front of its line."""
        line.queues.setdefault(shape, deque()).appendleft(task)
        self._grow(line, 1)

    def shrink(self, line: Line, count: int) -> None:
        """So many tasks of the line are queued no more."""
        line.size -= count
        if not line.size:
            line.queues.clear()
            line.share.lines.pop(id(line), None)
            if not line.share.lines:
                self._shares.pop(id(line.share), None)

    def in_order(self, full: Collection[Shape]) -> Iterator[tuple[Line, Shape]]:
        """Whose turn it is, of those whose shape is not `full`, and who is next if that one cannot have it; `full` may grow."""
        for share in self._in_order(self._shares, _service):
            for line in self._in_order(share.lines, _line_order):
                for shape in line.shapes(full):
                    share.clocks[line.priority], self._clock = line.service, share.service
                    yield line, shape

    def lines(self) -> list[Line]:
        """Every line that has tasks."""
        return [line for share in self._shares.values() for line in share.lines.values()]

    def count(self, shape: Shape) -> int:
        """How many tasks of a shape are queued (an upper bound: cancelled ones may still count)."""
        return sum(len(line.queues.get(shape, ())) for line in self.lines())

    def has(self, shape: Shape) -> bool:
        """Whether a task of this shape is queued."""
        return any(line.head(shape) is not None for line in self.lines())

    @staticmethod
    def _in_order(candidates: dict[int, _Served], order: Callable[[_Served], Any]) -> Iterable[_Served]:
        return tuple(candidates.values()) if len(candidates) == 1 else sorted(candidates.values(), key=order)

    def _grow(self, line: Line, count: int) -> None:
        if not count:
            return
        line.size += count
        share = line.share
        if id(line) not in share.lines:
            if id(share) not in self._shares:
                share.service = max(share.service, self._clock)
                self._shares[id(share)] = share
            line.service = max(line.service, share.clocks.get(line.priority, 0.0))
            share.lines[id(line)] = line
