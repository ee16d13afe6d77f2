"""MedianStoppingRule: a trial whose best is worse than the median of what the others had on average at its age ends."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, isnan
from typing import Any

from nbray.errors import UsageError
from nbray.tune.schedulers.arguments import number
from nbray.tune.schedulers.scheduler import Decision, Resumption, TrialScheduler
from nbray.tune.scores import figure, score
from nbray.tune.trial import Trial


class Course:
    """What one trial has reported so far: its best score, and its mean score up to any age."""

    def __init__(self, grace_period: float) -> None:
        self._grace_period = grace_period
        self.best = float("-inf")
        self.age = float("-inf")
        """At its last report."""
        self._ages: list[float] = []
        self._sums: list[float] = []

    def add(self, t: float, value: float) -> None:
        """One report."""
        self.age = t
        if not isnan(value):
            self.best = max(self.best, value)
        if t >= self._grace_period:
            self._ages.append(t)
            self._sums.append(value + (self._sums[-1] if self._sums else 0.0))

    def mean_until(self, t: float) -> float | None:
        """The mean of its scores from the grace period to age `t`; None if there are none, or NaN is among them."""
        count = bisect_right(self._ages, t)
        if not count:
            return None
        mean = self._sums[count - 1] / count
        return mean if isfinite(mean) else None


class Courses:
    """The courses of all trials, and the means that they had up to any age.

    Means up to whole numbers, as `training_iteration` is one, are kept in order: many trials are compared at each of them.
    """

    def __init__(self, grace_period: float) -> None:
        self._grace_period = grace_period
        self._of: dict[str, Course] = {}
        self._ages: list[float] = []
        self._means: dict[float, list[float]] = {}
        """For each of these ages: the mean up to there of each trial that has come as far, in order."""

    def __getitem__(self, trial_id: str) -> Course:
        return self._of[trial_id]

    def begin(self, trial_id: str) -> None:
        """A trial is born, or begins anew, as if it had never reported."""
        if trial_id in self._of:
            before = self._of[trial_id]
            for age in self._ages[: bisect_right(self._ages, before.age)]:
                _take_out(self._means[age], before.mean_until(age))
        self._of[trial_id] = Course(self._grace_period)

    def add(self, trial_id: str, t: float, value: float) -> None:
        """A trial has reported."""
        course = self._of[trial_id]
        passed = self._ages[bisect_right(self._ages, course.age) : bisect_right(self._ages, t)]
        course.add(t, value)
        for age in passed:
            if (mean := course.mean_until(age)) is not None:
                insort(self._means[age], mean)

    def means_of_others(self, trial_id: str, t: float) -> list[float]:
        """The mean up to age `t` of each other trial that has come as far, in order."""
        if not t.is_integer():
            return _means(t, (course for other, course in self._of.items() if other != trial_id))
        if t not in self._means:
            self._means[t] = _means(t, self._of.values())
            insort(self._ages, t)
        means = self._means[t].copy()
        _take_out(means, self._of[trial_id].mean_until(t))
        return means


class MedianStoppingRule(TrialScheduler):
    """Ends a trial whose best score so far is worse than the median of the mean scores that other trials had up to its age.

    `time_attr` is the reported figure that tells a trial's age; no trial ends before `grace_period`, and none while fewer than
    `min_samples_required` others have come as far. With `hard_stop=False` a trial pauses instead, and runs on when all others
    have ended. With a `min_time_slice` a trial that cannot be judged yet pauses after that much work, so that others get their
    turn. Both take checkpoints. `verbose=1` tells of trials that are stopped.

    Source: Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017.

    >>> from nbray.tune.schedulers import MedianStoppingRule
    >>> MedianStoppingRule(time_attr="training_iteration", grace_period=3)
    MedianStoppingRule(time_attr='training_iteration', grace_period=3, min_samples_required=3)
    """

    needs_metric = True

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        grace_period: float = 60.0,
        min_samples_required: int = 3,
        min_time_slice: float | None = None,
        hard_stop: bool = True,
        *,
        verbose: int = 0,
    ) -> None:
        super().__init__(metric, mode)
        if number("MedianStoppingRule", "grace_period", grace_period) < 0:
            raise UsageError(f"MedianStoppingRule got grace_period={grace_period!r}; type 0 or more")
        if isinstance(min_samples_required, bool) or not isinstance(min_samples_required, int) or min_samples_required < 1:
            given = f"min_samples_required={min_samples_required!r}"
            raise UsageError(f"MedianStoppingRule got {given}; type a whole number, 1 or more")
        if min_time_slice is not None and number("MedianStoppingRule", "min_time_slice", min_time_slice) < 0:
            raise UsageError(f"MedianStoppingRule got min_time_slice={min_time_slice!r}; type 0 or more, or leave it out")
        self.time_attr = time_attr
        self.grace_period = grace_period
        self.min_samples_required = min_samples_required
        self.min_time_slice = min_time_slice
        self.hard_stop = hard_stop
        self.verbose = int(verbose)
        self.needs_checkpoints = not hard_stop or min_time_slice is not None
        self._courses = Courses(grace_period)
        self._judged: dict[str, None] = {}
        """Trials that were found too poor and wait, or run on since."""
        self._parked: deque[str] = deque()
        """Of these, the ones that wait for all others to end."""
        self._yielded: deque[tuple[str, int]] = deque()
        """Trials that gave others their turn, and how many trials had been born by then."""
        self._sliced_at: dict[str, float] = {}
        self._born = 0
        self._search_finished = False

    def on_trial_add(self, trial: Trial) -> None:
        self._born += 1
        self._courses.begin(trial.trial_id)

    def on_trial_result(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        t, value = figure(result, self.time_attr), score(result, self.metric, self.mode)
        if t is None or value is None:
            return Decision.CONTINUE
        self._courses.add(trial.trial_id, t, value)
        if t < self.grace_period or trial.trial_id in self._judged:
            return Decision.CONTINUE
        means = self._courses.means_of_others(trial.trial_id, t)
        if len(means) < self.min_samples_required:
            return self._wait_for_others(trial.trial_id, t)
        return self._judge(trial.trial_id, t, self._courses[trial.trial_id].best, median(means))

    def on_cannot_pause(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        """One that was to be parked ends; one that was to give others their turn goes on."""
        if trial.trial_id in self._parked:
            self._parked.remove(trial.trial_id)
            return Decision.STOP
        self._yielded = deque(each for each in self._yielded if each[0] != trial.trial_id)
        return Decision.CONTINUE

    def on_trial_complete(self, trial: Trial, result: Mapping[str, Any]) -> None:
        t, value = figure(result, self.time_attr), score(result, self.metric, self.mode)
        if t is not None and value is not None and t > self._courses[trial.trial_id].age:
            self._courses.add(trial.trial_id, t, value)
        self.on_trial_remove(trial)

    def on_trial_remove(self, trial: Trial) -> None:
        if trial.trial_id in self._parked:
            self._parked.remove(trial.trial_id)
        self._yielded = deque(each for each in self._yielded if each[0] != trial.trial_id)

    def on_search_finished(self) -> None:
        self._search_finished = True

    def choose_trial_to_run(self) -> Resumption | None:
        """One that gave others their turn, once a trial was born since, or none will be."""
        if self._yielded and (self._search_finished or self._born > self._yielded[0][1]):
            return Resumption(self._yielded.popleft()[0])
        return None

    def on_stall(self) -> None:
        """All others have ended: those that wait run on, in the order in which they paused."""
        self._yielded.extend((trial_id, -1) for trial_id in self._parked)
        self._yielded = deque((trial_id, -1) for trial_id, _ in self._yielded)
        self._parked.clear()

    def _wait_for_others(self, trial_id: str, t: float) -> Decision:
        if self.min_time_slice is None or t - self._sliced_at.get(trial_id, 0.0) <= self.min_time_slice:
            return Decision.CONTINUE
        if self._search_finished and not self._yielded:
            return Decision.CONTINUE
        self._sliced_at[trial_id] = t
        self._yielded.append((trial_id, self._born))
        self.reason = "paused, so that others get their turn"
        return Decision.PAUSE

    def _judge(self, trial_id: str, t: float, best: float, middle: float) -> Decision:
        if not isfinite(best) or best >= middle:
            return Decision.CONTINUE
        self._judged[trial_id] = None
        sign = -1 if self.mode == "min" else 1
        verb = "stopped" if self.hard_stop else "paused"
        self.reason = f"{verb} at {t:g}: its best is {sign * best:.4g}, the others' median {sign * middle:.4g}"
        if self.verbose:
            end = "ends" if self.hard_stop else "pauses"
            self._lines.append(
                f"Median: {trial_id} {end} at {self.time_attr} {t:g}: its best {self.metric} is {sign * best:.4g}, "
                f"the others' median {sign * middle:.4g}"
            )
        if self.hard_stop:
            return Decision.STOP
        self._parked.append(trial_id)
        return Decision.PAUSE

    def __repr__(self) -> str:
        return (
            f"MedianStoppingRule(time_attr={self.time_attr!r}, grace_period={self.grace_period:g}, "
            f"min_samples_required={self.min_samples_required})"
        )


def _means(t: float, courses: Iterable[Course]) -> list[float]:
    """The means up to age `t` of those that have come as far, in order."""
    return sorted(mean for course in courses if course.age >= t and (mean := course.mean_until(t)) is not None)


def _take_out(means: list[float], mean: float | None) -> None:
    if mean is not None:
        del means[bisect_left(means, mean)]


def median(ranked: Sequence[float]) -> float:
    """The middle one of ordered values, or the mean of the two in the middle.

    The library's module takes longer to import than a short trial to run.

    >>> median([1, 2, 5]), median([1, 4])
    (2, 2.5)
    """
    half = len(ranked) // 2
    return ranked[half] if len(ranked) % 2 else (ranked[half - 1] + ranked[half]) / 2
