"""Stoppers: what ends trials, or the whole experiment, by rules that the user gives as `stop=`."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from math import fsum, isnan, sqrt
from numbers import Real
from typing import Any

from nbray.errors import UsageError, WrongType
from nbray.tune.objectives import check_mode
from nbray.tune.scores import figure
from nbray.tune.trial import ADDED


class Stopper:
    """Ends trials and experiments; make your own by overriding what it needs.

    A stopper has no clock: the experiment tells it the time. The same calls in the same order lead to the same answers, which is
    what a resumed experiment rests on.

    >>> from nbray import tune
    >>> class Enough(tune.Stopper):
    ...     def __call__(self, trial_id, result):
    ...         return result["accuracy"] > 0.9
    >>> Enough()("t1", {"accuracy": 0.95})
    True
    """

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Whether the trial that has just reported is done."""
        return False

    def stop_all(self) -> bool:
        """Whether the whole experiment is."""
        return False

    def on_time(self, now: float) -> None:
        """So many seconds of the experiment are over; told before each question."""

    def wakes_at(self) -> float | None:
        """When it wants to be told the time although nothing has happened, in seconds of the experiment; None: at no time."""
        return None

    def why(self) -> str:
        """The reason for the last yes, as a sentence."""
        return f"{type(self).__name__} ended it"

    def unseen(self) -> Sequence[str]:
        """Names that it looks for and has not seen in any report so far; a misspelt one never ends a trial."""
        return ()


class NoopStopper(Stopper):
    """Ends nothing."""


class BoundsStopper(Stopper):
    """Ends a trial once a figure that it reports has reached its bound; what `stop={"accuracy": 0.95}` means.

    >>> BoundsStopper({"accuracy": 0.95, "training_iteration": 10})("t1", {"accuracy": 0.96, "training_iteration": 3})
    True
    """

    def __init__(self, bounds: Mapping[str, float]) -> None:
        for name, bound in bounds.items():
            if not isinstance(name, str) or not isinstance(bound, Real) or isnan(bound):
                raise WrongType(
                    f"stop= has {name!r}: {bound!r}; type the name of a reported figure and the number at which a trial ends, "
                    'such as stop={"training_iteration": 10}'
                )
        self.bounds = dict(bounds)
        self._unseen = set(bounds) - ADDED
        self._why = ""

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        for name, bound in self.bounds.items():
            value = figure(result, name)
            if value is None:
                continue
            self._unseen.discard(name)
            if value >= bound:
                self._why = f"{name} {value:g} has reached the {bound:g} of stop="
                return True
        return False

    def why(self) -> str:
        return self._why

    def unseen(self) -> Sequence[str]:
        return sorted(self._unseen)


class FunctionStopper(Stopper):
    """Ends a trial when a function of its id and its last result says so.

    >>> FunctionStopper(lambda trial_id, result: result["loss"] < 0.1)("t1", {"loss": 0.05})
    True
    """

    def __init__(self, function: Callable[[str, Mapping[str, Any]], bool]) -> None:
        self._function = function
        check_arguments(function)

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        return bool(self._function(trial_id, result))

    def why(self) -> str:
        return f"the function {getattr(self._function, '__name__', 'stop')!r} of stop= ended it"


class MaximumIterationStopper(Stopper):
    """Ends a trial when it has reported `max_iter` times.

    >>> MaximumIterationStopper(10)("t1", {"training_iteration": 10})
    True
    """

    def __init__(self, max_iter: int) -> None:
        self.max_iter = _whole("MaximumIterationStopper", "max_iter", max_iter, 1)

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        return int(result.get("training_iteration", 0)) >= self.max_iter

    def why(self) -> str:
        return f"it has made the {self.max_iter} reports of MaximumIterationStopper"


class TimeoutStopper(Stopper):
    """Ends the experiment after so many seconds, or a timedelta; a pause between two sessions does not count.

    >>> stopper = TimeoutStopper(60)
    >>> stopper.on_time(61.0)
    >>> stopper.stop_all()
    True
    """

    def __init__(self, timeout: float | timedelta) -> None:
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
            raise UsageError(f"TimeoutStopper got timeout={timeout!r}; type seconds, more than 0, or a datetime.timedelta")
        self.timeout = float(seconds)
        self._now = 0.0

    def on_time(self, now: float) -> None:
        self._now = now

    def stop_all(self) -> bool:
        return self._now >= self.timeout

    def wakes_at(self) -> float | None:
        return self.timeout

    def why(self) -> str:
        return f"the {self.timeout:g} s of TimeoutStopper are over"


class TrialPlateauStopper(Stopper):
    """Ends a trial whose metric hardly changes any more: the standard deviation of its last `num_results` values is below `std`.

    Not before `grace_period` reports and not before the metric has passed `metric_threshold`, for which `mode` says whether it
    has to rise ("max") or to fall ("min").

    >>> stopper = TrialPlateauStopper("loss", std=0.01, num_results=3, grace_period=3)
    >>> [stopper("t1", {"loss": loss}) for loss in (0.5, 0.301, 0.3, 0.302)]
    [False, False, False, True]
    """

    def __init__(
        self,
        metric: str,
        std: float = 0.01,
        num_results: int = 4,
        grace_period: int = 4,
        metric_threshold: float | None = None,
        mode: str | None = None,
    ) -> None:
        check_mode(mode, "TrialPlateauStopper")
        if metric_threshold is not None and mode is None:
            raise UsageError(
                f"TrialPlateauStopper got metric_threshold={metric_threshold!r} and no mode; "
                'type mode="max" if the metric has to rise above it, or mode="min"'
            )
        self.metric = metric
        self.std = _positive("TrialPlateauStopper", "std", std)
        self.num_results = _whole("TrialPlateauStopper", "num_results", num_results, 2)
        self.grace_period = _whole("TrialPlateauStopper", "grace_period", grace_period, 0)
        self.metric_threshold = metric_threshold
        self.mode = mode
        self._seen = False
        self._values: dict[str, deque[float]] = {}
        self._reports: dict[str, int] = {}

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        value = figure(result, self.metric)
        if value is None:
            return False
        self._seen = True
        values = self._values.setdefault(trial_id, deque(maxlen=self.num_results))
        values.append(value)
        self._reports[trial_id] = self._reports.get(trial_id, 0) + 1
        if self._reports[trial_id] < self.grace_period or len(values) < self.num_results:
            return False
        return self._is_past_threshold(value) and _deviation(values) < self.std

    def _is_past_threshold(self, value: float) -> bool:
        if self.metric_threshold is None:
            return True
        return value >= self.metric_threshold if self.mode == "max" else value <= self.metric_threshold

    def why(self) -> str:
        return f"{self.metric} hardly changed over {self.num_results} reports"

    def unseen(self) -> Sequence[str]:
        return () if self._seen else (self.metric,)


class ExperimentPlateauStopper(Stopper):
    """Ends the experiment when the `top` best values of the metric lie close together, more than `patience` reports long.

    Close means that their standard deviation is at most `std`.

    >>> stopper = ExperimentPlateauStopper("loss", std=0.01, top=2, mode="min")
    >>> [stopper(trial, {"loss": loss}) for trial, loss in (("t1", 0.5), ("t2", 0.3), ("t3", 0.301))]
    [False, False, True]
    """

    def __init__(self, metric: str, std: float = 0.001, top: int = 10, mode: str = "min", patience: int = 0) -> None:
        check_mode(mode, "ExperimentPlateauStopper")
        self.metric = metric
        self.std = _positive("ExperimentPlateauStopper", "std", std)
        self.top = _whole("ExperimentPlateauStopper", "top", top, 2)
        self.mode = mode
        self.patience = _whole("ExperimentPlateauStopper", "patience", patience, 0)
        self._seen = False
        self._best: list[float] = []
        self._reports_close = 0
        self._close = False

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        value = figure(result, self.metric)
        self._seen = self._seen or value is not None
        if value is None or isnan(value):
            return self.stop_all()
        self._best = sorted([*self._best, value], reverse=self.mode == "max")[: self.top]
        self._close = len(self._best) == self.top and _deviation(self._best) <= self.std
        self._reports_close = self._reports_close + 1 if self._close else 0
        return self.stop_all()

    def stop_all(self) -> bool:
        return self._close and self._reports_close >= self.patience

    def why(self) -> str:
        return f"the {self.top} best values of {self.metric} lie within a deviation of {self.std:g}"

    def unseen(self) -> Sequence[str]:
        return () if self._seen else (self.metric,)


class CombinedStopper(Stopper):
    """Ends what any of several stoppers ends; each of them is told everything.

    >>> CombinedStopper(MaximumIterationStopper(10), TimeoutStopper(60))("t1", {"training_iteration": 10})
    True
    """

    def __init__(self, *stoppers: Stopper) -> None:
        self._stoppers = [stopper_of(stopper) for stopper in stoppers]
        self._why = ""

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        return self._any([stopper for stopper in self._stoppers if stopper(trial_id, result)])

    def stop_all(self) -> bool:
        return self._any([stopper for stopper in self._stoppers if stopper.stop_all()])

    def on_time(self, now: float) -> None:
        for stopper in self._stoppers:
            stopper.on_time(now)

    def wakes_at(self) -> float | None:
        times = [time for stopper in self._stoppers if (time := stopper.wakes_at()) is not None]
        return min(times, default=None)

    def _any(self, agreed: list[Stopper]) -> bool:
        if agreed:
            self._why = agreed[0].why()
        return bool(agreed)

    def why(self) -> str:
        return self._why

    def unseen(self) -> Sequence[str]:
        return [name for stopper in self._stoppers for name in stopper.unseen()]


def stopper_of(stop: object) -> Stopper:
    """The stopper that `stop=` means: None, a dict of bounds, a function (trial_id, result) -> bool, or a Stopper.

    >>> stopper_of({"training_iteration": 3})("t1", {"training_iteration": 3})
    True
    """
    if stop is None:
        return NoopStopper()
    if isinstance(stop, Stopper):
        return stop
    if isinstance(stop, type):
        raise WrongType(f"stop= got the class {stop.__name__}; type stop={stop.__name__}(...)")
    if isinstance(stop, Mapping):
        return BoundsStopper(stop)
    if callable(stop):
        return FunctionStopper(stop)
    if isinstance(stop, (list, tuple)) and stop:
        raise WrongType(f"stop= got the {type(stop).__name__} {stop!r}; type stop=CombinedStopper(first, second)")
    raise WrongType(
        f'stop= got {stop!r}; type a dict such as {{"training_iteration": 10}}, a function of (trial_id, result), or a Stopper'
    )


def check_arguments(function: Callable[..., Any]) -> None:
    """Raise WrongType if a function cannot take (trial_id, result)."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions written in C have none
        return
    try:
        signature.bind("trial", {})
    except TypeError as error:
        name = getattr(function, "__name__", repr(function))
        raise WrongType(f"stop= got the function {name}{signature}; it is called with (trial_id, result): {error}") from None


def _deviation(values: Sequence[float]) -> float:
    mean = fsum(values) / len(values)
    return sqrt(fsum((value - mean) ** 2 for value in values) / len(values))


def _whole(owner: str, name: str, value: object, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{owner} got {name}={value!r}; type a whole number, {least} or more")
    return value


def _positive(owner: str, name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise UsageError(f"{owner} got {name}={value!r}; type a number, more than 0")
    return float(value)
