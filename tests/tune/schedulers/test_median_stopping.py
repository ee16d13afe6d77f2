from __future__ import annotations

import math
import random
from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.tune.schedulers import Decision, MedianStoppingRule
from nbray.tune.schedulers.median_stopping import Course, Courses
from tests.tune.schedulers.crowd import Crowd

CONTINUE, PAUSE, STOP = Decision.CONTINUE, Decision.PAUSE, Decision.STOP


def crowd(mode: str = "max", **options: Any) -> Crowd:
    given = {"time_attr": "training_iteration", "grace_period": 1, "min_samples_required": 2, **options}
    return Crowd(MedianStoppingRule(**given), mode)


def run(trials: Crowd, name: str, values: list[float]) -> list[Decision]:
    return [trials.report(name, t, value) for t, value in enumerate(values, 1)]


def test_below_the_median_of_the_means_a_trial_ends() -> None:
    trials = crowd()
    run(trials, "a", [1, 3, 5])
    run(trials, "b", [2, 4, 6])
    assert trials.report("c", 1, 0.5) is STOP, "the others have 1 and 2, whose median is 1.5"
    assert run(trials, "d", [1.2, 2.6, 3.4]) == [CONTINUE] * 2 + [STOP], "the medians are 1 of three, and 2.5, 3.5 of two"


def test_its_best_counts_not_its_last() -> None:
    trials = crowd()
    run(trials, "a", [1, 1, 1])
    run(trials, "b", [1, 1, 1])
    assert run(trials, "c", [1, 0, 0]) == [CONTINUE] * 3


def test_small_is_good_if_the_mode_says_so() -> None:
    trials = crowd(mode="min", verbose=1)
    run(trials, "a", [1, 1])
    run(trials, "b", [2, 2])
    assert run(trials, "c", [1.4, 1.6]) == [CONTINUE] * 2
    assert run(trials, "d", [1.45]) == [STOP]
    assert trials.scheduler.reason == "stopped at 1: its best is 1.45, the others' median 1.4"
    assert trials.scheduler.take_lines() == [
        "Median: d ends at training_iteration 1: its best score is 1.45, the others' median 1.4"
    ]


def test_nobody_is_judged_too_soon_or_by_too_few() -> None:
    trials = crowd(grace_period=3, min_samples_required=3)
    for name in "abc":
        assert run(trials, name, [5, 5, 5, 5]) == [CONTINUE] * 4
    assert run(trials, "d", [0, 0, 0]) == [CONTINUE, CONTINUE, STOP]
    assert trials.report("e", 5, 0) is CONTINUE, "nobody has come as far"


def test_what_was_before_the_grace_period_is_in_no_mean() -> None:
    course = Course(grace_period=2)
    course.add(1, 100)
    assert course.mean_until(9) is None
    course.add(2, 1)
    course.add(3, 2)
    assert (course.mean_until(2), course.mean_until(3), course.mean_until(99)) == (1, 1.5, 1.5)
    assert course.best == 100


@pytest.mark.parametrize("seed", range(20))
def test_the_means_that_are_kept_are_those_that_one_would_work_out(seed: int) -> None:
    lots = random.Random(seed)
    courses = Courses(grace_period=2)
    names = "abcdef"
    age = dict.fromkeys(names, 0.0)
    for name in names:
        courses.begin(name)
    for _ in range(120):
        name = lots.choice(names)
        if lots.random() < 0.03:
            courses.begin(name)
            age[name] = 0.0
        age[name] += lots.choice([1, 1, 1, 0.5, 3])
        courses.add(name, age[name], lots.choice([lots.random(), lots.random(), math.nan]) if seed % 2 else lots.random())
        others = [courses[other] for other in names if other != name and courses[other].age >= age[name]]
        means = [mean for course in others if (mean := course.mean_until(age[name])) is not None]
        assert courses.means_of_others(name, age[name]) == sorted(means)


def test_nan_neither_stops_nor_is_in_a_median() -> None:
    trials = crowd()
    run(trials, "a", [1, 1])
    run(trials, "b", [math.nan, 1])
    assert run(trials, "c", [0]) == [CONTINUE], "b has no mean"
    run(trials, "d", [1, 1])
    assert run(trials, "e", [math.nan]) == [CONTINUE]
    assert run(trials, "f", [0]) == [STOP]
    assert trials.report("g", 1) is CONTINUE


def test_a_trial_that_returned_is_among_the_others() -> None:
    trials = crowd()
    for name in "ab":
        trials.report(name, 1, 1)
        trials.trials[name].last_result = {"training_iteration": 5, "score": 3.0}
        trials.complete(name)
    assert trials.report("c", 5, 1.9) is STOP


def test_a_soft_stop_parks_a_trial_until_all_others_have_ended() -> None:
    trials = crowd(hard_stop=False)
    run(trials, "a", [1, 1])
    run(trials, "b", [1, 1])
    assert [run(trials, name, [0]) for name in "cd"] == [[PAUSE], [PAUSE]]
    assert trials.resume() is None
    trials.scheduler.on_search_finished()
    assert trials.resume() is None
    trials.scheduler.on_trial_remove(trials.trials["d"])
    trials.scheduler.on_stall()
    resumed = trials.resume()
    assert resumed is not None
    assert resumed.trial_id == "c"
    assert trials.resume() is None
    assert trials.report("c", 2, 0) is CONTINUE, "it was judged once"
    trials.scheduler.on_stall()
    assert trials.resume() is None, "nobody waits any more"


def test_a_soft_stop_without_checkpoints_is_a_hard_one() -> None:
    trials = crowd(hard_stop=False)
    run(trials, "a", [1])
    run(trials, "b", [1])
    assert run(trials, "c", [0]) == [PAUSE]
    assert trials.scheduler.on_cannot_pause(trials.trials["c"], {}) is STOP
    trials.scheduler.on_stall()
    assert trials.scheduler.choose_trial_to_run() is None


def test_a_time_slice_gives_others_their_turn() -> None:
    trials = crowd(min_time_slice=2, min_samples_required=3)
    assert run(trials, "a", [1, 1, 1]) == [CONTINUE, CONTINUE, PAUSE]
    assert trials.scheduler.reason == "paused, so that others get their turn"
    assert trials.resume() is None, "a new trial comes first"
    assert run(trials, "b", [1, 1]) == [CONTINUE, CONTINUE]
    resumed = trials.resume()
    assert resumed is not None
    assert resumed.trial_id == "a"
    assert [trials.report("a", t, 1) for t in (4, 5)] == [CONTINUE, CONTINUE]
    assert trials.report("a", 6, 1) is PAUSE
    trials.scheduler.on_search_finished()
    assert trials.report("b", 3, 1) is PAUSE, "a waits"
    assert [each.trial_id for each in iter(trials.resume, None)] == ["a", "b"]
    assert trials.report("b", 6, 1) is CONTINUE, "nobody waits"


def test_a_time_slice_without_checkpoints_has_no_end() -> None:
    trials = crowd(min_time_slice=0)
    assert trials.report("a", 1, 1) is PAUSE
    assert trials.scheduler.on_cannot_pause(trials.trials["a"], {}) is CONTINUE
    trials.scheduler.on_stall()
    assert trials.scheduler.choose_trial_to_run() is None


def test_whether_it_needs_checkpoints() -> None:
    assert not MedianStoppingRule().needs_checkpoints
    assert MedianStoppingRule(hard_stop=False).needs_checkpoints
    assert MedianStoppingRule(min_time_slice=0).needs_checkpoints


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"grace_period": -1}, "got grace_period=-1; type 0 or more"),
        ({"min_samples_required": 0}, "got min_samples_required=0; type a whole number"),
        ({"min_time_slice": -1}, "got min_time_slice=-1; type 0 or more"),
        ({"min_time_slice": "1"}, "got min_time_slice='1'; type a number"),
    ],
)
def test_bad_arguments_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        MedianStoppingRule(**options)
