"""How a trial that has reported goes on: what the stopper, the scheduler and the rule about NaN say, in that order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from nbray.tune.events import Start
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.schedulers.scheduler import Decision
from nbray.tune.scores import figure, names_in
from nbray.tune.trial import ADDED, Trial, TrialState


class Verdict(NamedTuple):
    """How a trial goes on, and why."""

    decision: Decision
    why: str = ""
    done: bool = False
    """Whether a stopper found it done, which is not the scheduler's giving it up."""


GO_ON = Verdict(Decision.CONTINUE)


class Judge:
    """Asks who decides; knows what they have seen.

    A trial that runs on from an older checkpoint, after a failure, makes some reports a second time. Nobody is asked about
    those again: they were let pass, or, the last one, perhaps paused. So a rung holds each trial once.
    """

    def __init__(self, config: ExperimentConfig, metric: str | None) -> None:
        self._config = config
        self._metric = metric
        self._seen: dict[str, int] = {}
        """The last report of each trial that was judged, by its number."""
        self._paused_at: dict[str, int] = {}
        self.names: set[str] = set()
        """What trials have reported, until one reported the metric."""
        self.metric_seen = metric is None
        self.reported_nothing = False
        """Whether a trial has come to its end without any report."""

    def starts(self, trial: Trial, start: Start) -> None:
        """A trial is about to run; from another trial's checkpoint, nothing that it will report was seen."""
        trial_id = trial.trial_id
        if start.checkpoint != trial.checkpoint:
            self._seen[trial_id] = start.iteration
            self._paused_at.pop(trial_id, None)
        elif trial.state is TrialState.PAUSED:
            self._paused_at.pop(trial_id, None)

    def note(self, result: Mapping[str, Any]) -> None:
        """Remember whether the metric is among what is reported."""
        if self.metric_seen:
            return
        self.names.update(names_in(result))
        self.metric_seen = self._metric in self.names

    def saw_last(self, trial: Trial, result: Mapping[str, Any]) -> None:
        """What a trial's function returned is a report, too, about which nothing is left to decide."""
        self.note(result)
        if self._config.stopper is not None and not self.is_repeated(trial):
            self._config.stopper(trial.trial_id, result)

    def is_repeated(self, trial: Trial) -> bool:
        """Whether its last report is one that was judged before."""
        return trial.iteration <= self._seen.get(trial.trial_id, 0)

    def what_was_reported(self) -> str:
        """The end of a sentence that begins with a trial's end or report: that the metric is missing, and what there is."""
        own = sorted(self.names - ADDED)
        if not own:
            return (
                f"no trial has reported {self._metric!r}, or anything else: return {{{self._metric!r}: ...}} from the function, "
                f"or call tune.report({{{self._metric!r}: ...}}) in it"
            )
        nearest = (get_close_matches(str(self._metric), own, n=1, cutoff=0.0) or own)[0]
        there_is = ", ".join(map(repr, own))
        return f"no trial has reported {self._metric!r}; there is {there_is}. Type metric={nearest!r}, or report {self._metric!r}"

    def judge(self, trial: Trial, result: Mapping[str, Any], resumable: bool) -> Verdict:
        """How it goes on after this report."""
        if self.is_repeated(trial):
            again = self._paused_at.get(trial.trial_id) == trial.iteration
            return Verdict(Decision.PAUSE, "paused, as before it was lost") if again else GO_ON
        self._seen[trial.trial_id] = trial.iteration
        stopper = self._config.stopper
        if stopper is not None and stopper(trial.trial_id, result):
            return Verdict(Decision.STOP, stopper.why(), done=True)
        if self._config.stop_on_nan and self._is_nan(result):
            return Verdict(Decision.STOP, f"{self._metric} is NaN")
        return self._ask_scheduler(trial, result, resumable)

    def _is_nan(self, result: Mapping[str, Any]) -> bool:
        value = figure(result, self._metric)
        return value is not None and math.isnan(value)

    def _ask_scheduler(self, trial: Trial, result: Mapping[str, Any], resumable: bool) -> Verdict:
        scheduler = self._config.scheduler
        scheduler.reason = ""
        decision = scheduler.on_trial_result(trial, result)
        if decision is Decision.PAUSE and not resumable:
            decision = scheduler.on_cannot_pause(trial, result)
        if decision is Decision.CONTINUE:
            return GO_ON
        if decision is Decision.PAUSE:
            self._paused_at[trial.trial_id] = trial.iteration
        verb = "stopped" if decision is Decision.STOP else "paused"
        return Verdict(decision, scheduler.reason or f"{verb} by {type(scheduler).__name__} after report {trial.iteration}")
