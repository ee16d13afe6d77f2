"""What is known of an experiment: a fold of its journal's entries, which the card, the callbacks and the results read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nbray.tune.events import (
    Answer,
    Close,
    Closing,
    Discard,
    Ended,
    Entry,
    Failed,
    Moved,
    Reopened,
    Reported,
    Say,
    Slots,
    Start,
)
from nbray.tune.schedulers.scheduler import Rung
from nbray.tune.scores import figure
from nbray.tune.trial import Trial, TrialState

_WHERE_TO = {"PAUSE": TrialState.PAUSING, "STOP": TrialState.STOPPING}


@dataclass(slots=True, eq=False, repr=False)
class TrialRecord(Trial):
    """A trial with everything that it has reported."""

    history: list[Mapping[str, Any]] = field(default_factory=list)
    """Its reports. A trial that runs on from an older checkpoint makes some anew: they take the place of the first ones."""
    curve: list[tuple[int, float | None]] = field(default_factory=list)
    """The experiment's metric over `training_iteration`; None where a report did not have it, or not as a number."""
    checkpoints: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    """Path and report of each checkpoint that is kept, oldest first."""
    born: float = 0.0
    """When it first began to run; in seconds of the experiment."""

    def seconds_until(self, now: float) -> float:
        """Time at work, with that since its last report; in seconds."""
        return self.seconds + (max(0.0, now - self.since) if self.at_work else 0.0)

    def value(self, metric: str, mode: str | None, scope: str = "last") -> float | None:
        """Its metric: the last value ("last") or the best of all ("all"); None if it was never reported as a number.

        Of all, NaN is the best only where there is nothing else.
        """
        found = (value for report in reversed(self.history) if (value := figure(report, metric)) is not None)
        if scope == "last":
            return next(found, None)
        values = list(found)
        numbers = [value for value in values if not math.isnan(value)]
        pick = min if mode == "min" else max
        return pick(numbers) if numbers else (math.nan if values else None)


class View:
    """What is known of an experiment; entries are folded into it in their order, each once.

    >>> from nbray.tune.events import Slots
    >>> view = View("loss", "min")
    >>> view.fold(Entry(1, 0.0, Slots(1), [Start("00000", 1, {"x": 2})]))
    >>> view.fold(Entry(2, 0.5, Reported("00000", 1, {"loss": 4.0}), [Answer("00000", "CONTINUE")]))
    >>> view.best.config, view.best.curve
    ({'x': 2}, [(1, 4.0)])
    """

    def __init__(self, metric: str | None, mode: str | None, total: int | None = None) -> None:
        self.metric = metric
        self.mode = mode
        self.planned = total
        """How many trials the searcher will have suggested in the end, where that is known."""
        self.trials: dict[str, TrialRecord] = {}
        self.lines: list[str] = []
        """What the experiment had to say to the user."""
        self.closing: Closing | None = None
        """Why it will be over as soon as nothing is at work any more."""
        self.closed: Close | None = None
        self.slots = 0
        """How many trials can run at once."""
        self.now = 0.0
        """When the last entry came; in seconds of the experiment."""
        self.number = 0
        """The last entry's."""
        self.rungs: Sequence[Rung] = ()
        """Where the scheduler compares trials; the entries do not tell, who follows an experiment sets it."""
        self._by_hand = 0
        self._writer: dict[str, str] = {}

    @property
    def total(self) -> int | None:
        """How many trials there will be, with those added by hand; None where the searcher does not know."""
        return None if self.planned is None else max(self.planned + self._by_hand, len(self.trials))

    @property
    def best(self) -> TrialRecord | None:
        """The trial whose last value is best, by the experiment's metric; None before there is a number."""
        first = next(iter(self.ranked()), None)
        return None if first is None or _rank(first, self.metric, self.mode)[0] else first

    def ranked(self, metric: str | None = None, mode: str | None = None) -> list[TrialRecord]:
        """The trials by the last value of the metric, best first; then those with NaN, then those without it."""
        metric, mode = metric or self.metric, mode or self.mode
        return sorted(self.trials.values(), key=lambda trial: _rank(trial, metric, mode))

    def counts(self) -> dict[TrialState, int]:
        """How many trials are in each state; states without trials are left out."""
        return dict(Counter(trial.state for trial in self.trials.values()))

    def fold_all(self, entries: Iterable[Entry]) -> None:
        """Fold several."""
        for entry in entries:
            self.fold(entry)

    def fold(self, entry: Entry) -> None:
        """Take what has happened, and what followed from it."""
        self.number, self.now = entry.number, entry.now
        self._take_event(entry)
        for action in entry.actions:
            self._take_action(action, entry)

    def _take_event(self, entry: Entry) -> None:
        match entry.event:
            case Reported(trial_id, attempt, metrics, checkpoint) if self._runs(trial_id, attempt):
                self._take_report(self.trials[trial_id], metrics, checkpoint, entry.now, done=False)
            case Ended(trial_id, attempt, _, metrics, checkpoint) if self._runs(trial_id, attempt):
                self._take_report(self.trials[trial_id], metrics, checkpoint, entry.now, done=True)
            case Failed(trial_id, attempt, error) if self._runs(trial_id, attempt):
                self.trials[trial_id].failures += 1
                self.trials[trial_id].error = error
            case Slots(count):
                self.slots = count
            case Reopened():
                self.closed, self.closing, self.slots = None, None, 0
            case _:
                pass

    def _runs(self, trial_id: str, attempt: int) -> bool:
        return trial_id in self.trials and self.trials[trial_id].runs(attempt)

    def _take_report(
        self, trial: TrialRecord, metrics: dict[str, Any] | None, checkpoint: str | None, now: float, done: bool
    ) -> None:
        if metrics is not None:
            result = trial.take_report(metrics, now, done)
            trial.history.append(result)
            trial.curve.append((trial.iteration, figure(result, self.metric)))
        if checkpoint is not None:
            trial.checkpoint = checkpoint
            trial.checkpoints.append((checkpoint, trial.last_result))
            self._writer[checkpoint] = trial.trial_id

    def _take_action(self, action: object, entry: Entry) -> None:
        match action:
            case Start():
                self._start(action, entry.now)
            case Answer(trial_id, decision, why) if decision in _WHERE_TO and trial_id in self.trials:
                self._answer(self.trials[trial_id], _WHERE_TO[decision], why, entry.event)
            case Moved():
                self._move(action, entry.event)
            case Discard(path) if path in self._writer:
                writer = self.trials[self._writer.pop(path)]
                writer.checkpoints = [kept for kept in writer.checkpoints if kept[0] != path]
            case Say(text):
                self.lines.append(text)
            case Closing():
                self.closing = action
            case Close():
                self.closed = action
            case _:
                pass

    def _start(self, start: Start, now: float) -> None:
        trial = self.trials.get(start.trial_id) or self._new(start.trial_id, start.config)
        if trial.attempt == 0:
            trial.born = now
        trial.config = start.config
        trial.checkpoint = start.checkpoint
        trial.begin(start.attempt, start.iteration, now)
        while trial.history and trial.history[-1]["training_iteration"] > start.iteration:
            trial.history.pop()
            trial.curve.pop()

    def _new(self, trial_id: str, config: dict[str, Any]) -> TrialRecord:
        self.trials[trial_id] = TrialRecord(trial_id, config, number=len(self.trials))
        return self.trials[trial_id]

    def _answer(self, trial: TrialRecord, state: TrialState, why: str, event: object) -> None:
        if not isinstance(event, Reported) or not trial.runs(event.attempt):
            return  # it answers a run that was over already
        trial.why = why
        if trial.state is not state:
            trial.move(state)

    def _move(self, moved: Moved, event: object) -> None:
        trial = self.trials.get(moved.trial_id)
        if trial is None:
            trial = self._new(moved.trial_id, moved.config or {})
            trial.checkpoint = moved.checkpoint
            self._by_hand += 1
        state = TrialState(moved.state)
        if trial.state is TrialState.ERROR and state is TrialState.PENDING:
            trial.revive()
            if isinstance(event, Reopened) and event.restart_errored:
                trial.checkpoint = None
        elif trial.state is not state:
            trial.move(state)
        trial.why = moved.why
        if state is TrialState.ERROR and not isinstance(event, Failed):
            trial.error = moved.why
        if trial.ended and trial.last_result:
            trial.last_result = {**trial.last_result, "done": True}


def _rank(trial: TrialRecord, metric: str | None, mode: str | None) -> tuple[int, float, int]:
    value = None if metric is None else trial.value(metric, mode)
    if value is None:
        return 2, 0.0, trial.number
    if math.isnan(value):
        return 1, 0.0, trial.number
    return 0, value if mode == "min" else -value, trial.number
