"""A trial, one configuration that is being tried: its life cycle and what is known of it.

    PENDING --> RUNNING --> PAUSING --> PAUSED
       |        |  ^  |        |          |
       |        |  |  |        |          |  (runs on from its checkpoint)
       |        |  +--|--------|----------+
       |        |     v        v          |
       |        |  STOPPING    |          |
       v        v     v        v          v
       TERMINATED or ERROR <--------------+

A trial that fails and has attempts left goes from RUNNING or PAUSING back to PENDING, and so does one whose whole
experiment was interrupted, from any state in which it has a runner. One that waits can be paused by hand. ERROR is left
only when an experiment is restored and its failed trials shall run again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from nbray.errors import InternalError


class TrialState(StrEnum):
    """Where a trial stands."""

    PENDING = "PENDING"
    """It waits for its first run, or for the next one after a failure."""
    RUNNING = "RUNNING"
    PAUSING = "PAUSING"
    """It was told to pause and has not ended its run yet."""
    STOPPING = "STOPPING"
    """It was told to stop and has not ended its run yet."""
    PAUSED = "PAUSED"
    """It keeps its checkpoint and takes nothing else."""
    TERMINATED = "TERMINATED"
    ERROR = "ERROR"
    """Its last attempt failed."""


_S = TrialState
MOVES: dict[TrialState, frozenset[TrialState]] = {
    _S.PENDING: frozenset({_S.RUNNING, _S.PAUSED, _S.TERMINATED}),
    _S.RUNNING: frozenset({_S.PENDING, _S.PAUSING, _S.STOPPING, _S.TERMINATED, _S.ERROR}),
    _S.PAUSING: frozenset({_S.PENDING, _S.PAUSED, _S.STOPPING, _S.TERMINATED, _S.ERROR}),
    _S.STOPPING: frozenset({_S.PENDING, _S.TERMINATED, _S.ERROR}),
    _S.PAUSED: frozenset({_S.RUNNING, _S.TERMINATED}),
    _S.TERMINATED: frozenset(),
    _S.ERROR: frozenset({_S.PENDING}),
}
"""The moves that are allowed, from each state."""

ADDED = frozenset(
    {"training_iteration", "time_this_iter_s", "time_total_s", "trial_id", "done", "timestamp", "date", "hostname", "pid"}
)
"""What reports have without the user's doing."""
ENDED = frozenset({TrialState.TERMINATED, TrialState.ERROR})
AT_WORK = frozenset({TrialState.RUNNING, TrialState.PAUSING, TrialState.STOPPING})
"""A trial in one of these has a runner."""


@dataclass(slots=True, eq=False)
class Trial:
    """One configuration; schedulers, stoppers and callbacks get it to read."""

    trial_id: str
    config: dict[str, Any]
    number: int = 0
    """Counts the experiment's trials from 0, in the order of their birth."""
    state: TrialState = TrialState.PENDING
    iteration: int = 0
    """Reports so far, over all attempts and pauses: the `training_iteration` of the last one."""
    last_result: Mapping[str, Any] = field(default_factory=dict)
    """The last report with what was added to it; empty before the first."""
    checkpoint: str | None = None
    """Path of the newest checkpoint."""
    attempt: int = 0
    """Runs begun so far; the one in progress has this number."""
    failures: int = 0
    error: str = ""
    """Why its last attempt failed, as one would print it."""
    why: str = ""
    """One sentence: why it ended, paused or waits."""
    seconds: float = 0.0
    """Time at work, over all attempts, until its last report."""
    since: float = 0.0
    """When its run began, or its last report came; in seconds of the experiment."""

    def move(self, state: TrialState) -> None:
        """Go to another state; raises InternalError if the table above does not allow it."""
        if state not in MOVES[self.state]:
            raise InternalError(f"trial {self.trial_id} cannot go from {self.state} to {state}")
        self.state = state

    def begin(self, attempt: int, iteration: int, now: float) -> None:
        """A run begins; `iteration` counts the reports before it."""
        self.move(TrialState.RUNNING)
        self.attempt = attempt
        self.iteration = iteration
        self.since = now
        self.why = ""

    def take_report(self, metrics: Mapping[str, Any], now: float, done: bool = False) -> Mapping[str, Any]:
        """A report has come: returns it with what is added to every report."""
        this_one = metrics.get("time_this_iter_s")
        if type(this_one) is not float:
            this_one = now - self.since
        self.since = now
        self.iteration += 1
        self.seconds += this_one
        self.last_result = {
            **metrics,
            "training_iteration": self.iteration,
            "time_this_iter_s": this_one,
            "time_total_s": self.seconds,
            "trial_id": self.trial_id,
            "done": done,
        }
        return self.last_result

    def revive(self) -> None:
        """A trial that failed shall run again, in a restored experiment: its failures are forgotten."""
        self.move(TrialState.PENDING)
        self.failures = 0
        self.error = ""

    def runs(self, attempt: int) -> bool:
        """Whether this attempt is in progress; what comes of others came too late."""
        return self.attempt == attempt and self.state in AT_WORK

    @property
    def ended(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ENDED

    @property
    def at_work(self) -> bool:
        """Whether a runner has it."""
        return self.state in AT_WORK

    def __repr__(self) -> str:
        return f"Trial({self.trial_id}, {self.state}, {self.iteration} reports)"
