from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.stoppers import (
    BoundsStopper,
    CombinedStopper,
    ExperimentPlateauStopper,
    FunctionStopper,
    MaximumIterationStopper,
    NoopStopper,
    Stopper,
    TimeoutStopper,
    TrialPlateauStopper,
    stopper_of,
)


def answers(stopper: Stopper, name: str, values: list[float], trial_id: str = "t") -> list[bool]:
    return [stopper(trial_id, {name: value, "training_iteration": place}) for place, value in enumerate(values, 1)]


def test_a_bound_ends_a_trial_that_reaches_it() -> None:
    stopper = stopper_of({"accuracy": 0.9, "training_iteration": 4})
    assert answers(stopper, "accuracy", [0.1, 0.95]) == [False, True]
    assert stopper.why() == "accuracy 0.95 has reached the 0.9 of stop="
    assert answers(stopper, "accuracy", [0.1] * 4) == [False, False, False, True]
    assert not stopper.stop_all()


def test_it_knows_the_bounds_that_nobody_reported() -> None:
    stopper = BoundsStopper({"acuracy": 0.9, "loss": 0.1, "training_iteration": 4})
    assert stopper.unseen() == ["acuracy", "loss"], "every report is given a training_iteration"
    stopper("t", {"accuracy": 1.0, "loss": 0.0})
    assert stopper.unseen() == ["acuracy"]
    assert CombinedStopper(stopper, NoopStopper()).unseen() == ["acuracy"]


def test_nan_reaches_no_bound() -> None:
    assert not BoundsStopper({"loss": 1})("t", {"loss": math.nan})


def test_a_function_may_decide() -> None:
    def is_good(trial_id: str, result: Mapping[str, Any]) -> bool:
        return bool(result["loss"] < 0.5)

    stopper = stopper_of(is_good)
    assert isinstance(stopper, FunctionStopper)
    assert answers(stopper, "loss", [1.0, 0.4]) == [False, True]
    assert "'is_good'" in stopper.why()


def test_so_many_reports_are_enough() -> None:
    assert answers(MaximumIterationStopper(3), "loss", [1.0] * 3) == [False, False, True]


@pytest.mark.parametrize("timeout", [60, 60.0, timedelta(minutes=1)])
def test_so_many_seconds_are_enough(timeout: float | timedelta) -> None:
    stopper = TimeoutStopper(timeout)
    stopper.on_time(59.9)
    assert not stopper.stop_all()
    stopper.on_time(60.0)
    assert stopper.stop_all()
    assert not stopper("t", {})
    assert stopper.why() == "the 60 s of TimeoutStopper are over"


def test_who_waits_for_a_time_says_which() -> None:
    assert Stopper().wakes_at() is None
    assert CombinedStopper(NoopStopper(), TimeoutStopper(9), TimeoutStopper(5)).wakes_at() == 5


def test_a_trial_on_a_plateau_ends() -> None:
    stopper = TrialPlateauStopper("loss", std=0.01, num_results=3, grace_period=5)
    assert answers(stopper, "loss", [0.5, 0.5, 0.5, 0.5, 0.5]) == [False] * 4 + [True]
    assert answers(stopper, "loss", [0.5, 0.4, 0.3, 0.2, 0.1, 0.1], "other") == [False] * 6
    assert stopper("other", {"loss": 0.1}), "the last three are equal now"


def test_the_deviation_is_the_populations() -> None:
    values = [0.0, 0.0, 1.0, 1.0]
    assert answers(TrialPlateauStopper("loss", std=0.5), "loss", values)[-1] is False
    assert answers(TrialPlateauStopper("loss", std=0.51), "loss", values)[-1] is True


def test_a_plateau_on_the_wrong_side_of_the_threshold_goes_on() -> None:
    rising = TrialPlateauStopper("accuracy", num_results=2, grace_period=0, metric_threshold=0.8, mode="max")
    assert answers(rising, "accuracy", [0.5, 0.5, 0.8, 0.8]) == [False, False, False, True]
    falling = TrialPlateauStopper("loss", num_results=2, grace_period=0, metric_threshold=0.2, mode="min")
    assert answers(falling, "loss", [0.5, 0.5, 0.2, 0.2]) == [False, False, False, True]


def test_what_does_not_report_the_metric_is_on_no_plateau() -> None:
    for stopper in (TrialPlateauStopper("loss", num_results=2, grace_period=0), ExperimentPlateauStopper("loss", top=2)):
        assert answers(stopper, "other", [1.0] * 5) == [False] * 5
        assert stopper.unseen() == ("loss",)
        stopper("t", {"loss": 1.0})
        assert stopper.unseen() == ()


def test_an_experiment_on_a_plateau_ends_whole() -> None:
    stopper = ExperimentPlateauStopper("accuracy", std=0.01, top=3, mode="max", patience=2)
    assert answers(stopper, "accuracy", [0.9, 0.1, 0.905, 0.909]) == [False] * 4
    assert not stopper.stop_all()
    assert stopper("other", {"accuracy": math.nan}) is False, "which is no value"
    assert stopper("other", {"accuracy": 0.2}) is True
    assert stopper.stop_all()
    assert "3 best values of accuracy" in stopper.why()
    assert stopper("other", {"accuracy": 1.0}) is False, "the best are far apart again"


def test_several_may_be_combined_and_each_hears_everything() -> None:
    plateau = TrialPlateauStopper("loss", num_results=3, grace_period=0)
    both = CombinedStopper(MaximumIterationStopper(2), plateau, TimeoutStopper(5))
    assert answers(both, "loss", [0.5, 0.5, 0.5]) == [False, True, True]
    assert both.why() == "it has made the 2 reports of MaximumIterationStopper"
    assert both("t", {"loss": 0.5, "training_iteration": 1})
    assert both.why() == "loss hardly changed over 3 reports"
    both.on_time(6.0)
    assert both.stop_all()
    assert both.why() == "the 5 s of TimeoutStopper are over"


def test_none_ends_nothing_and_a_stopper_is_itself() -> None:
    assert not stopper_of(None)("t", {"training_iteration": 10**9})
    stopper = MaximumIterationStopper(3)
    assert stopper_of(stopper) is stopper
    assert Stopper().why() == "Stopper ended it"


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ({"accuracy": "high"}, "stop= has 'accuracy': 'high'; type the name of a reported figure"),
        ({3: 1}, "stop= has 3: 1; type the name"),
        ({"loss": math.nan}, "stop= has 'loss': nan"),
        (MaximumIterationStopper, r"got the class MaximumIterationStopper; type stop=MaximumIterationStopper\(...\)"),
        ([NoopStopper()], r"type stop=CombinedStopper\(first, second\)"),
        (7, "stop= got 7; type a dict such as"),
        (lambda result: True, r"function <lambda>\(result\); it is called with \(trial_id, result\)"),
    ],
)
def test_what_cannot_be_a_stopper_is_refused(stop: object, text: str) -> None:
    with pytest.raises(WrongType, match=text):
        stopper_of(stop)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MaximumIterationStopper(0), "MaximumIterationStopper got max_iter=0; type a whole number, 1 or more"),
        (lambda: TimeoutStopper(-1), "TimeoutStopper got timeout=-1; type seconds"),
        (lambda: TimeoutStopper(True), "TimeoutStopper got timeout=True"),
        (lambda: TrialPlateauStopper("loss", std=0), "TrialPlateauStopper got std=0; type a number, more than 0"),
        (lambda: TrialPlateauStopper("loss", metric_threshold=1), 'got metric_threshold=1 and no mode; type mode="max"'),
        (lambda: TrialPlateauStopper("loss", mode="best"), "TrialPlateauStopper got mode='best'"),
        (lambda: ExperimentPlateauStopper("loss", top=1), "ExperimentPlateauStopper got top=1; type a whole number, 2 or more"),
        (lambda: ExperimentPlateauStopper("loss", patience=-1), "got patience=-1"),
    ],
)
def test_bad_arguments_are_refused(make: Callable[[], Stopper], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        make()
