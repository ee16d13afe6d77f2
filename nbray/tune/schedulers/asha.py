"""ASHAScheduler: asynchronous successive halving, which ends or pauses poor trials early, at rungs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import accumulate
from math import exp, isnan
from typing import Any

from nbray.errors import UsageError
from nbray.tune.draws import draw
from nbray.tune.schedulers.arguments import check_age, check_factor
from nbray.tune.schedulers.ladder import Ladder, Step, levels
from nbray.tune.schedulers.scheduler import Decision, Resumption, Rung, TrialScheduler
from nbray.tune.scores import figure, score
from nbray.tune.trial import Trial, TrialState


class AshaType(StrEnum):
    """What becomes of a trial that is not among the best at a rung."""

    STOP = "stop"
    """It ends, for good."""
    PROMOTE = "promote"
    """It pauses, and runs on when it has come to be among the best, as in the paper."""


class ASHAScheduler(TrialScheduler):
    """Compares trials at rungs, at ages grace_period x reduction_factor^k, and goes on with the best 1/reduction_factor of them.

    `time_attr` is the reported figure that tells a trial's age, in whose units `grace_period` and `max_t` are: no trial ends
    before the one, each ends at the other (unless `stop_last_trials=False`). With `type="stop"` a trial that scores below that
    share of those that were at the rung before it ends; the first at a rung goes on. With `type="promote"` it pauses, and runs
    on from its checkpoint once it is among the best: no trial is lost that a rung saw too early, but trials have to write
    checkpoints; who comes to the last of several rungs runs to `max_t`. With several `brackets` each trial draws one: bracket b
    lacks the b lowest rungs. A figure that is missing, or NaN, stops no trial. `verbose=1` tells of trials that are stopped,
    paused and resumed, `verbose=2` of those let pass, too.

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020; the "stop" form as in Ray Tune.

    >>> from nbray.tune.schedulers import ASHAScheduler
    >>> ASHAScheduler(max_t=27, grace_period=1, reduction_factor=3, metric="accuracy", mode="max").levels(bracket=0)
    [1, 3, 9, 27]
    """

    needs_metric = True

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 100,
        grace_period: float = 1,
        reduction_factor: float = 4,
        brackets: int = 1,
        stop_last_trials: bool = True,
        *,
        type: str = "stop",
        verbose: int = 0,
    ) -> None:
        super().__init__(metric, mode)
        check_age("ASHAScheduler", max_t=max_t, grace_period=grace_period)
        check_factor("ASHAScheduler", reduction_factor)
        if not isinstance(brackets, int) or brackets < 1:
            raise UsageError(f"ASHAScheduler got brackets={brackets!r}; type how many there are to be, 1 or more")
        if type not in list(AshaType):
            raise UsageError(f'ASHAScheduler got type={type!r}; type="stop" ends poor trials, type="promote" pauses them')
        self.time_attr = time_attr
        self.max_t = max_t
        self.grace_period = grace_period
        self.reduction_factor = reduction_factor
        self.stop_last_trials = stop_last_trials
        self.type = AshaType(type)
        self.verbose = int(verbose)
        self.needs_checkpoints = self.type is AshaType.PROMOTE
        self._ladders = [Ladder(levels(grace_period, max_t, reduction_factor, skipped)) for skipped in range(brackets)]
        self._bracket: dict[str, int] = {}
        self._paused: dict[str, tuple[Trial, Step]] = {}
        """Trials that it has paused and neither resumed nor dropped, and where."""
        self._told_of_pauses = False
        self._seed = 0

    def levels(self, bracket: int = 0) -> list[float]:
        """The ages at which trials of a bracket are compared."""
        return [step.level for step in self._ladders[bracket].steps]

    def set_search_properties(self, metric: str | None, mode: str | None, seed: int = 0) -> None:
        super().set_search_properties(metric, mode, seed)
        self._seed = seed

    def on_trial_add(self, trial: Trial) -> None:
        most = max(len(ladder.steps) for ladder in self._ladders)
        weights = [exp(len(ladder.steps) - most) for ladder in self._ladders]
        lot = draw(self._seed, "bracket", trial.trial_id) * sum(weights)
        self._bracket[trial.trial_id] = min(bisect_right(list(accumulate(weights)), lot), len(weights) - 1)

    def on_trial_result(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        t, value = figure(result, self.time_attr), score(result, self.metric, self.mode)
        if t is None or value is None:
            return Decision.CONTINUE
        ladder = self._ladders[self._bracket[trial.trial_id]]
        index = ladder.arrival(trial.trial_id, t)
        if t >= self.max_t and self.stop_last_trials:
            if index is not None:
                ladder.steps[index].record(trial.trial_id, value)
            self.reason = f"reached max_t={self.max_t:g}"
            self._say(2, f"{trial.trial_id} has reached max_t={self.max_t:g} and ends")
            return Decision.STOP
        if index is None:
            return Decision.CONTINUE
        if self.type is AshaType.PROMOTE:
            at_top = 0 < index == len(ladder.steps) - 1
            return self._pass_or_pause(trial, ladder.steps[index], value, at_top)
        return self._pass_or_stop(trial, ladder.steps[index], value)

    def on_cannot_pause(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        """Judge it as `type="stop"` does."""
        _, step = self._paused.pop(trial.trial_id)
        if not self._told_of_pauses:
            self._told_of_pauses = True
            self._lines.append(f'ASHA: {trial.trial_id} writes no checkpoints and cannot pause; it is judged as by type="stop"')
        return self._pass_or_stop(trial, step, step.forget(trial.trial_id))

    def on_trial_complete(self, trial: Trial, result: Mapping[str, Any]) -> None:
        t, value = figure(result, self.time_attr), score(result, self.metric, self.mode)
        ladder = self._ladders[self._bracket[trial.trial_id]]
        index = None if t is None else ladder.arrival(trial.trial_id, t)
        if index is not None and value is not None:
            ladder.steps[index].record(trial.trial_id, value)

    def on_trial_remove(self, trial: Trial) -> None:
        self._unpark(trial.trial_id)

    def choose_trial_to_run(self) -> Resumption | None:
        """The best paused trial of the highest rung at which one has come to be among the best."""
        if not self._paused:
            return None
        for below_top in range(1, 1 + self._most_rungs()):
            for ladder in self._ladders:
                if below_top <= len(ladder.steps) and (chosen := self._promotable(ladder.steps[-below_top])):
                    return Resumption(chosen)
        return None

    def on_stall(self) -> None:
        """Give up the worst of those that have come least far, so that a searcher that waits for it goes on."""
        for height in range(self._most_rungs()):
            for ladder in self._ladders:
                worst = self._worst_waiting(ladder.steps[height]) if height < len(ladder.steps) else None
                if worst is not None:
                    self._unpark(worst)
                    self._dropped.append(worst)
                    self._say(1, f"{worst} is given up")
                    return

    def rungs(self) -> Sequence[Rung]:
        sign = -1.0 if self.mode == "min" else 1.0
        pictures = []
        for bracket, ladder in enumerate(self._ladders):
            cutoffs = {index: self._cutoff(step) for index, step in enumerate(ladder.steps)}
            pictures += ladder.picture(bracket, sign, cutoffs)
        return pictures

    def _cutoff(self, step: Step) -> float | None:
        """The score that a trial has to reach at the moment; None if any will do."""
        if self.type is AshaType.STOP:
            return step.percentile(1 - 1 / self.reduction_factor)
        places = min(step.places(self.reduction_factor), len(step.ranking))
        return -step.ranking[places - 1][0] if places else None

    def _pass_or_stop(self, trial: Trial, step: Step, value: float) -> Decision:
        cutoff = step.percentile(1 - 1 / self.reduction_factor)
        compared = len(step.scores)
        step.record(trial.trial_id, value)
        if cutoff is not None and value < cutoff:
            self.reason = f"stopped at {step.level:g}: {self._shown(value)}, not {self._shown(cutoff)}"
            self._say(1, f"{self._at(trial, step, value)} and ends: {self._shown(cutoff)} was needed after {compared} trials")
            return Decision.STOP
        step.went_on.add(trial.trial_id)
        self._say(2, f"{self._at(trial, step, value)} and goes on")
        return Decision.CONTINUE

    def _pass_or_pause(self, trial: Trial, step: Step, value: float, at_top: bool) -> Decision:
        step.record(trial.trial_id, value)
        if at_top or step.has_among_best(trial.trial_id, self.reduction_factor):
            step.went_on.add(trial.trial_id)
            self._say(2, f"{self._at(trial, step, value)} and goes on")
            return Decision.CONTINUE
        self._paused[trial.trial_id] = trial, step
        step.wait(trial.trial_id)
        places = step.places(self.reduction_factor)
        self.reason = f"paused at {step.level:g}: {self._shown(value)}; {places} of {len(step.scores)} go on"
        self._say(1, f"{self._at(trial, step, value)} and pauses: {places} of {len(step.scores)} go on")
        return Decision.PAUSE

    def _most_rungs(self) -> int:
        return max(len(ladder.steps) for ladder in self._ladders)

    def _unpark(self, trial_id: str) -> None:
        """A trial does not wait any more, if it did."""
        if trial_id in self._paused:
            _, step = self._paused.pop(trial_id)
            step.leave(trial_id)

    def _worst_waiting(self, step: Step) -> str | None:
        """Of the trials that have paused at a rung the worst: one that scored NaN, if there is one."""
        unranked = [trial_id for trial_id, (_, where) in self._paused.items() if where is step and isnan(step.scores[trial_id])]
        return unranked[-1] if unranked else step.waiting[-1][2] if step.waiting else None

    def _promotable(self, step: Step) -> str | None:
        """The best trial that waits at a rung, if it is among the best there; from now on it waits no more."""
        for _, _, trial_id in step.waiting:
            if not step.has_among_best(trial_id, self.reduction_factor):
                return None
            trial, _ = self._paused[trial_id]
            if trial.state is TrialState.PAUSED:
                self._unpark(trial_id)
                step.went_on.add(trial_id)
                places = step.places(self.reduction_factor)
                self._say(1, f"{trial_id} runs on past {step.level:g}: it is among the best {places} of {len(step.scores)}")
                return trial_id
        return None

    def _at(self, trial: Trial, step: Step, value: float) -> str:
        return f"{trial.trial_id} has {self.metric} {self._shown(value)} at {self.time_attr} {step.level:g}"

    def _shown(self, value: float) -> str:
        return f"{-value if self.mode == 'min' else value:.4g}"

    def _say(self, loudness: int, text: str) -> None:
        if self.verbose >= loudness:
            self._lines.append(f"ASHA: {text}")

    def __repr__(self) -> str:
        return (
            f"ASHAScheduler(type={self.type.value!r}, time_attr={self.time_attr!r}, max_t={self.max_t:g}, "
            f"grace_period={self.grace_period:g}, reduction_factor={self.reduction_factor:g}, brackets={len(self._ladders)})"
        )


AsyncHyperBandScheduler = ASHAScheduler
