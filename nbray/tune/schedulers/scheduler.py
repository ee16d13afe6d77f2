"""The interface of trial schedulers: they decide, report by report, which trials go on.

A scheduler is a state machine without I/O, clock or global randomness: the same calls in the same order lead to the same
decisions, which is what a resumed experiment rests on. The names of the methods are Ray Tune's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nbray.errors import UsageError
from nbray.tune.objectives import Objective, agree, check_mode
from nbray.tune.scores import DEFAULT_METRIC
from nbray.tune.trial import Trial


class Decision(StrEnum):
    """How a trial that has reported goes on."""

    CONTINUE = "CONTINUE"
    PAUSE = "PAUSE"
    """It writes its checkpoint and leaves its place to others until `choose_trial_to_run` names it."""
    STOP = "STOP"


@dataclass(frozen=True, slots=True)
class Resumption:
    """A paused trial that shall run on."""

    trial_id: str
    config: Mapping[str, Any] | None = None
    """Its new configuration; None keeps the one it has."""
    checkpoint_of: str | None = None
    """The trial whose newest checkpoint it starts from; None means its own."""


@dataclass(frozen=True, slots=True)
class Rung:
    """A level at which trials are compared, for people to look at."""

    bracket: int
    level: float
    """In units of `time_attr`."""
    values: Mapping[str, float]
    """The metric of each trial that has reached it, as reported."""
    went_on: frozenset[str]
    """Trials that were let past it."""
    cutoff: float | None = None
    """The value that a trial has to reach at the moment."""


class TrialScheduler:
    """Runs every trial to its end; the others are made from it.

    `metric` and `mode` ("max" or "min") may be left to `set_search_properties`, which the experiment calls before the
    first trial.
    """

    needs_checkpoints = False
    """Whether PAUSE is among its decisions: without checkpoints a paused trial would begin anew."""

    reason = ""
    """Why it has just said PAUSE or STOP, in a few words; the trial's `why` is this, or else that it was this scheduler."""

    needs_metric = False
    """Whether it compares trials, which takes a metric and a mode."""

    def __init__(self, metric: str | None = None, mode: str | None = None) -> None:
        check_mode(mode, type(self).__name__)
        self.metric = metric
        self.mode = mode
        self._dropped: list[str] = []
        """What `take_dropped` is to give."""
        self._lines: list[str] = []
        """What `take_lines` is to give."""

    def set_search_properties(self, metric: str | None, mode: str | None, seed: int = 0) -> None:
        """Take the experiment's metric and mode where its own were not given; two that differ are a UsageError.

        The seed is for schedulers that draw lots.
        """
        owner = type(self).__name__
        self.metric, self.mode = agree(owner, Objective(self.metric, self.mode), Objective(metric, mode))
        if not self.needs_metric:
            return
        if self.mode is None:
            raise UsageError(f'{owner} compares trials and got mode=None; type mode="max" if more is better, or mode="min"')
        self.metric = self.metric or DEFAULT_METRIC

    def on_trial_add(self, trial: Trial) -> None:
        """A trial is about to run for the first time."""

    def on_trial_result(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        """A trial has reported: say how it goes on."""
        return Decision.CONTINUE

    def on_cannot_pause(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        """It answered PAUSE, but the trial makes no checkpoints: take the pause back and say CONTINUE or STOP instead."""
        return Decision.CONTINUE

    def on_trial_complete(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """A trial has ended by itself, or a stopper found it done, with its last report (empty if it made none).

        `on_trial_result` has seen that report before, unless the trial returned it or a stopper fell upon it.
        """

    def on_trial_remove(self, trial: Trial) -> None:
        """A trial will not come back: it failed, or a person or this scheduler stopped it."""

    def choose_trial_to_run(self) -> Resumption | None:
        """A paused trial to run on with, now that a place is free; None: rather a new one, or none at all.

        It is asked before the searcher is. What it returns will be started; it does not return it twice.
        """
        return None

    def wants_new_trials(self) -> bool:
        """Whether a free place may go to a new trial."""
        return True

    def take_dropped(self) -> Sequence[str]:
        """Ids of paused trials that it has given up, each once."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def on_search_finished(self) -> None:
        """No new trial will come by itself; `choose_trial_to_run` is asked again after this."""

    def on_stall(self) -> None:
        """Nothing runs, nothing new can be started and it has named nobody, but paused trials are there: name one, or drop some.

        What it does neither with is ended. This may happen again and again, as when a searcher waits for paused trials.
        """

    def take_lines(self) -> Sequence[str]:
        """What it has to say to the user about its decisions, each line once (`verbose=`)."""
        lines, self._lines = self._lines, []
        return lines

    def rungs(self) -> Sequence[Rung]:
        """Where it compares trials, for the rung diagram; empty for schedulers without rungs."""
        return ()
