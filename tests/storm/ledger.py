"""The ledger: a line for each begin and end of each attempt, appended by the worker itself. Pure: what lines say and imply.

    b 4711 1 812 99.250000    task 4711, attempt 1, begins in process 812
    d 4711 1 812 99.260000    it is done; x: it has raised
    c 2000003 17 812 99.3     actor 2000003 begins its call 17; e: that has ended

A process that dies has no line after its last begin: that is how a kill is known to have hit a busy worker.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

BEGINS = ("b", "c")
WITHIN = 100
"""Attempt 203 is the third one of a task that was called by the second attempt of another one."""


class Line(NamedTuple):
    """One line."""

    kind: str
    subject: int
    """Task or actor."""
    number: int
    """Attempt or call."""
    pid: int
    at: float
    """Seconds of the machine's monotonic clock."""


def written(line: Line) -> bytes:
    """As it stands in the file.

    >>> written(Line("b", 4711, 1, 812, 99.25))
    b'b 4711 1 812 99.250000\\n'
    """
    return b"%c %d %d %d %.6f\n" % (line.kind.encode(), line.subject, line.number, line.pid, line.at)


def read(text: bytes) -> list[Line]:
    """All lines of a file. Raises ValueError for one that is torn: appending is atomic."""
    found = []
    for line in text.splitlines():
        kind, subject, number, pid, at = line.split()
        found.append(Line(kind.decode(), int(subject), int(number), int(pid), float(at)))
    return found


class Histories:
    """The lines by what they are about, each group in the order of the file."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.tasks: dict[int, list[Line]] = defaultdict(list)
        self.calls: dict[int, list[Line]] = defaultdict(list)
        self.processes: dict[int, list[Line]] = defaultdict(list)
        for line in lines:
            (self.tasks if line.kind in "bdx" else self.calls)[line.subject].append(line)
            self.processes[line.pid].append(line)

    def attempts(self, task: int) -> list[int]:
        """The attempts of a task that have begun."""
        return [line.number for line in self.tasks.get(task, ()) if line.kind == "b"]

    def was_busy(self, pid: int, at: float) -> bool:
        """Whether a process was inside a task or call when it was killed: nothing ends that had begun before."""
        before = [line for line in self.processes.get(pid, ()) if line.at <= at]
        return bool(before) and before[-1].kind in BEGINS


class Tail:
    """Who is busy at the moment, kept up to date from what has been appended since the last look."""

    def __init__(self) -> None:
        self._last: dict[int, str] = {}
        self._rest = b""

    def feed(self, text: bytes) -> None:
        """What has been appended."""
        whole, _, self._rest = (self._rest + text).rpartition(b"\n")
        for line in read(whole):
            self._last[line.pid] = line.kind

    def busy(self, pids: Iterable[int]) -> list[int]:
        """Those of these processes that are inside a task or a call."""
        return [pid for pid in pids if self._last.get(pid) in BEGINS]


def too_many_attempts(histories: Histories, retries: Mapping[int, int]) -> list[str]:
    """I2: no task has begun more often than its retries allow, or twice under the same number."""
    found = []
    for task, allowed in retries.items():
        attempts = histories.attempts(task)
        if len(attempts) != len(set(attempts)):
            found.append(f"task {task} has begun twice as the same attempt: {attempts}")
        if any(attempt % WITHIN > 1 + allowed or attempt // WITHIN > 1 + allowed for attempt in attempts):
            found.append(f"task {task} with {allowed} retries has begun as attempts {attempts}")
    return found


def strangers(histories: Histories, known: Mapping[int, int]) -> list[str]:
    """Tasks that have run and that nobody has asked for."""
    return [f"task {task} has run, but nobody submitted it" for task in histories.tasks.keys() - known.keys()]


def results_without_attempt(histories: Histories, succeeded: Iterable[int]) -> list[str]:
    """Tasks that have a result and no attempt that was done."""
    return [
        f"task {task} has a result, but no attempt of it was done"
        for task in succeeded
        if not any(line.kind == "d" for line in histories.tasks.get(task, ()))
    ]


def disorder(calls: Sequence[Line], *, repeats: bool) -> list[str]:
    """I3: the calls of one actor by its one caller run in their order, and once, or where they are repeated at least once."""
    begun = [line.number for line in calls if line.kind == "c"]
    actor = calls[0].subject if calls else 0
    first = list(dict.fromkeys(begun))
    found = []
    if first != sorted(first):
        place = next(index for index in range(1, len(first)) if first[index] < first[index - 1])
        found.append(f"actor {actor} ran call {first[place]} after call {first[place - 1]}")
    twice = {number for number in begun if begun.count(number) > 1} if len(first) != len(begun) else set()
    if twice and not repeats:
        found.append(f"actor {actor}, whose calls are not to be repeated, ran again: {sorted(twice)[:10]}")
    return found
