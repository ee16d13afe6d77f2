"""Which runners an experiment has, and what each of them does: a bookkeeping without I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from nbray.errors import InternalError
from nbray.tune.attempt import Assignment


class RunnerState(StrEnum):
    """Where a runner stands."""

    COMING = "COMING"
    """It was asked for, and has not spoken yet: what it reserves may not be free."""
    IDLE = "IDLE"
    """It waits for a trial."""
    BUSY = "BUSY"
    INTERRUPTED = "INTERRUPTED"
    """It has a trial, and was told to end it in the middle."""


@dataclass(slots=True)
class RunnerRecord:
    """A runner as the controller knows it."""

    number: int
    state: RunnerState = RunnerState.COMING
    assignment: Assignment | None = None
    runs: int = 0
    """Trials that it has begun."""


class Pool:
    """The runners that are there, by their numbers, and the assignments that wait for one.

    >>> pool = Pool()
    >>> number = pool.add()
    >>> pool.is_free(number)
    >>> pool.slots
    1
    """

    def __init__(self) -> None:
        self.runners: dict[int, RunnerRecord] = {}
        self._added = 0
        self._waiting: deque[Assignment] = deque()

    @property
    def slots(self) -> int:
        """How many trials can run at once: the runners that have spoken."""
        return sum(runner.state is not RunnerState.COMING for runner in self.runners.values())

    def add(self) -> int:
        """A runner has been asked for; its number."""
        self._added += 1
        self.runners[self._added] = RunnerRecord(self._added)
        return self._added

    def drop(self, number: int) -> Assignment | None:
        """A runner is gone; the assignment that it had."""
        return self.runners.pop(number).assignment

    def is_free(self, number: int) -> None:
        """A runner asks for work: whatever it had is over."""
        runner = self.runners[number]
        runner.state, runner.assignment = RunnerState.IDLE, None

    def queue(self, assignment: Assignment) -> None:
        """A trial shall run."""
        self._waiting.append(assignment)

    def withdraw(self, trial_id: str) -> Assignment | None:
        """Take an assignment back that no runner has yet; None if there is none."""
        for assignment in self._waiting:
            if assignment.start.trial_id == trial_id:
                self._waiting.remove(assignment)
                return assignment
        return None

    def take_matches(self) -> list[tuple[int, Assignment]]:
        """The assignments that can begin now, each with its runner."""
        idle = [runner for runner in self.runners.values() if runner.state is RunnerState.IDLE]
        matches = []
        for runner in idle[: len(self._waiting)]:
            runner.assignment = self._waiting.popleft()
            runner.state = RunnerState.BUSY
            runner.runs += 1
            matches.append((runner.number, runner.assignment))
        return matches

    def runner_of(self, trial_id: str) -> RunnerRecord | None:
        """The runner that has a trial."""
        for runner in self.runners.values():
            if runner.assignment is not None and runner.assignment.start.trial_id == trial_id:
                return runner
        return None

    def interrupt(self, number: int) -> None:
        """A runner was told to end its trial in the middle."""
        runner = self.runners[number]
        if runner.assignment is None:
            raise InternalError(f"runner {number} is {runner.state} and has no trial to be interrupted")
        runner.state = RunnerState.INTERRUPTED
