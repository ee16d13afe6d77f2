"""HyperBandScheduler: synchronous successive halving in brackets that trade many short trials for few long ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from math import ceil, floor, log
from typing import Any

from nbray.tune.schedulers.arguments import check_age, check_factor
from nbray.tune.schedulers.ladder import Ladder, Step
from nbray.tune.schedulers.scheduler import Decision, Resumption, Rung, TrialScheduler
from nbray.tune.scores import figure, score
from nbray.tune.trial import Trial

_SLACK = 1e-9


class Bracket:
    """A group of trials that climb together: a rung is decided when all of them have arrived or are gone."""

    def __init__(self, size: int, heights: list[float], factor: float) -> None:
        self.size = size
        """How many trials it begins with."""
        self.factor = factor
        self.ladder = Ladder(heights)
        self.is_open = True
        """Whether it takes more trials."""
        self.climbing: set[str] = set()
        """Trials that have not arrived at the rung that is decided next."""
        self.arrived: dict[str, None] = {}
        """Trials that wait there."""
        self._members = 0
        self._height = 0

    @property
    def step(self) -> Step:
        """The rung that is decided next."""
        return self.ladder.steps[self._height]

    def add(self, trial_id: str) -> None:
        """Take a trial; the last one that it has room for closes it."""
        self.climbing.add(trial_id)
        self._members += 1
        self.is_open = self._members < self.size

    def arrive(self, trial_id: str, value: float) -> None:
        """A trial is at the rung and waits."""
        self.step.record(trial_id, value)
        self.climbing.remove(trial_id)
        self.arrived[trial_id] = None

    def leave(self, trial_id: str) -> None:
        """The others do not wait for this trial any more."""
        self.climbing.discard(trial_id)
        self.arrived.pop(trial_id, None)

    def is_decidable(self) -> bool:
        """Whether everybody is here who will come."""
        return bool(self.arrived) and not self.is_open and not self.climbing

    def decide(self) -> tuple[list[str], list[str]]:
        """Who goes on to the next rung, best first, and who does not."""
        ranked = [trial_id for _, _, trial_id in self.step.ranking if trial_id in self.arrived]
        known = set(ranked)
        ranked += [trial_id for trial_id in self.arrived if trial_id not in known]
        keep = max(1, floor(len(ranked) / self.factor + _SLACK))
        best, rest = ranked[:keep], ranked[keep:]
        self.step.went_on.update(best)
        self.climbing.update(best)
        self.arrived = {}
        self._height += 1
        return best, rest


class HyperBandScheduler(TrialScheduler):
    """Halves brackets of trials: when all of a bracket have come to a rung, the best 1/reduction_factor of them go on.

    The first bracket begins with the most trials and compares them soonest, the last one lets few run to `max_t` at once; then
    it begins again. Trials pause at rungs, so they have to write checkpoints; if they do not, each is judged when it arrives,
    as `ASHAScheduler` does. `time_attr` is the reported figure that tells a trial's age, in whose units `max_t` is; a trial ends
    there unless `stop_last_trials=False`. `verbose=1` tells how each rung was decided.

    Source: Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 2018. Together with
    `OptunaSearch`, whose TPE learns from the reports of all rungs, it is BOHB.

    >>> from nbray.tune.schedulers import HyperBandScheduler
    >>> HyperBandScheduler(max_t=27, reduction_factor=3).plan()
    [(27, [1.0, 3.0, 9.0, 27.0]), (12, [3.0, 9.0, 27.0]), (6, [9.0, 27.0]), (4, [27.0])]
    """

    needs_checkpoints = True
    needs_metric = True

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 81,
        reduction_factor: float = 3,
        stop_last_trials: bool = True,
        *,
        verbose: int = 0,
    ) -> None:
        super().__init__(metric, mode)
        check_age("HyperBandScheduler", max_t=max_t, grace_period=1)
        check_factor("HyperBandScheduler", reduction_factor)
        self.time_attr = time_attr
        self.max_t = max_t
        self.reduction_factor = reduction_factor
        self.stop_last_trials = stop_last_trials
        self.verbose = int(verbose)
        self._pauses = True
        self._brackets: list[Bracket] = []
        self._bracket_of: dict[str, Bracket] = {}
        self._ready: deque[str] = deque()

    def plan(self) -> list[tuple[int, list[float]]]:
        """The brackets of one round: with how many trials each begins, and at which ages it compares them."""
        factor = self.reduction_factor
        most = floor(log(self.max_t) / log(factor) + _SLACK)
        return [
            (
                ceil((most + 1) / (halvings + 1) * factor**halvings - _SLACK),
                [self.max_t / factor**left for left in range(halvings, -1, -1)],
            )
            for halvings in range(most, -1, -1)
        ]

    def on_trial_add(self, trial: Trial) -> None:
        if not self._brackets or not self._brackets[-1].is_open:
            brackets = self.plan()
            size, heights = brackets[len(self._brackets) % len(brackets)]
            self._brackets.append(Bracket(size, heights, self.reduction_factor))
        self._brackets[-1].add(trial.trial_id)
        self._bracket_of[trial.trial_id] = self._brackets[-1]

    def on_trial_result(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        t, value = figure(result, self.time_attr), score(result, self.metric, self.mode)
        if t is None or value is None:
            return Decision.CONTINUE
        bracket = self._bracket_of[trial.trial_id]
        if t >= self.max_t * (1 - _SLACK):
            bracket.ladder.steps[-1].record(trial.trial_id, value)
            bracket.leave(trial.trial_id)
            self._decide(bracket)
            self.reason = f"reached max_t={self.max_t:g}"
            return Decision.STOP if self.stop_last_trials else Decision.CONTINUE
        if not self._pauses:
            return self._judge_alone(bracket, trial, t, value)
        if trial.trial_id not in bracket.climbing or t < bracket.step.level * (1 - _SLACK):
            return Decision.CONTINUE
        bracket.arrive(trial.trial_id, value)
        return self._decide(bracket, trial.trial_id)

    def on_cannot_pause(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        """From here on nobody waits: who has paused goes on or is dropped, who arrives is judged at once."""
        self._pauses = False
        self._lines.append(
            f"HyperBand: {trial.trial_id} writes no checkpoints and cannot pause; from here on trials are judged as they arrive"
        )
        bracket = self._bracket_of[trial.trial_id]
        value = bracket.step.forget(trial.trial_id)
        bracket.leave(trial.trial_id)
        decision = self._judge_alone(bracket, trial, bracket.step.level, value)
        for each in self._brackets:
            if each.arrived:
                self._decide(each, forced=True)
        return decision

    def on_trial_complete(self, trial: Trial, result: Mapping[str, Any]) -> None:
        self.on_trial_remove(trial)

    def on_trial_remove(self, trial: Trial) -> None:
        if trial.trial_id in self._ready:
            self._ready.remove(trial.trial_id)
        bracket = self._bracket_of[trial.trial_id]
        bracket.leave(trial.trial_id)
        self._decide(bracket)

    def choose_trial_to_run(self) -> Resumption | None:
        return Resumption(self._ready.popleft()) if self._ready else None

    def on_search_finished(self) -> None:
        """A bracket that is not full will not be: decide with those that are there."""
        for bracket in self._brackets:
            bracket.is_open = False
            self._decide(bracket)

    def on_stall(self) -> None:
        """Nobody comes whom those who wait could wait for: decide with them."""
        for bracket in self._brackets:
            if bracket.arrived:
                bracket.is_open = False
                self._decide(bracket, forced=True)

    def rungs(self) -> Sequence[Rung]:
        sign = -1.0 if self.mode == "min" else 1.0
        return [rung for number, each in enumerate(self._brackets) for rung in each.ladder.picture(number, sign, _cutoffs(each))]

    def _decide(self, bracket: Bracket, reporter: str = "", forced: bool = False) -> Decision:
        """Decide the bracket's rung if everybody is there; what that means for the trial that has just arrived."""
        level = bracket.step.level
        if not forced and not bracket.is_decidable():
            return self._because(Decision.PAUSE, f"paused at {level:g}, until all of its bracket are there", reporter)
        best, rest = bracket.decide()
        self._ready.extend(trial_id for trial_id in best if trial_id != reporter)
        self._dropped.extend(trial_id for trial_id in rest if trial_id != reporter)
        if self.verbose:
            both = len(best) + len(rest)
            self._lines.append(f"HyperBand: {len(best)} of {both} run on past {self.time_attr} {level:g}: {', '.join(best)}")
        if reporter in best:
            return Decision.CONTINUE
        why = f"stopped at {level:g}: not among the {len(best)} best of {len(best) + len(rest)}"
        return self._because(Decision.STOP, why, reporter)

    def _because(self, decision: Decision, reason: str, reporter: str) -> Decision:
        if reporter:
            self.reason = reason
        return decision

    def _judge_alone(self, bracket: Bracket, trial: Trial, t: float, value: float) -> Decision:
        index = bracket.ladder.arrival(trial.trial_id, t)
        if index is None:
            return Decision.CONTINUE
        step = bracket.ladder.steps[index]
        cutoff = step.percentile(1 - 1 / self.reduction_factor)
        step.record(trial.trial_id, value)
        if cutoff is not None and value < cutoff:
            sign = -1 if self.mode == "min" else 1
            self.reason = f"stopped at {step.level:g}: {sign * value:.4g}, not {sign * cutoff:.4g}"
            return Decision.STOP
        step.went_on.add(trial.trial_id)
        return Decision.CONTINUE

    def __repr__(self) -> str:
        return (
            f"HyperBandScheduler(time_attr={self.time_attr!r}, max_t={self.max_t:g}, reduction_factor={self.reduction_factor:g})"
        )


HyperBandForBOHB = HyperBandScheduler
"""Ray's name for it when `OptunaSearch`, or another searcher with a model, suggests the trials."""


def _cutoffs(bracket: Bracket) -> dict[int, float | None]:
    """The worst score with which a trial was let past each rung."""
    steps = enumerate(bracket.ladder.steps)
    return {index: min((step.scores[each] for each in step.went_on), default=None) for index, step in steps}
