from __future__ import annotations

import math
import random

import numpy as np
import pytest

from nbray.tune.schedulers.ladder import Ladder, Step, levels
from nbray.tune.schedulers.scheduler import Rung


@pytest.mark.parametrize(
    ("grace", "most", "factor", "expected"),
    [
        (1, 100, 4, [1, 4, 16, 64]),
        (1, 10, 3, [1, 3, 9]),
        (1, 1000, 10, [1, 10, 100, 1000]),  # where log(1000) / log(10) is a little less than 3
        (5, 5, 2, [5]),
        (2, 17, 2, [2, 4, 8, 16]),
        (0.1, 0.1 * 1.5**3, 1.5, pytest.approx([0.1, 0.15, 0.225, 0.3375])),
    ],
)
def test_levels_go_up_to_max_t(grace: float, most: float, factor: float, expected: list[float]) -> None:
    assert levels(grace, most, factor) == expected


def test_brackets_lack_their_lowest_rungs() -> None:
    assert levels(1, 27, 3, skipped=2) == [9, 27]
    assert levels(1, 27, 3, skipped=9) == []


def test_the_percentile_is_numpys() -> None:
    lots = random.Random(5)
    for count in range(1, 40):
        step = Step(1)
        values = [lots.choice([lots.uniform(-1, 1), 0.5]) for _ in range(count)]
        for place, value in enumerate(values):
            step.record(str(place), value)
        for fraction in (0.0, 0.5, 2 / 3, 0.75, 1.0):
            assert step.percentile(fraction) == pytest.approx(np.percentile(values, fraction * 100), rel=1e-14)


def test_nan_counts_as_arrived_and_is_ranked_nowhere() -> None:
    step = Step(1)
    assert step.percentile(0.5) is None
    step.record("a", math.nan)
    assert step.percentile(0.5) is None
    step.record("b", 1.0)
    step.record("c", 3.0)
    assert step.percentile(0.5) == 2.0
    assert step.best(3) == ["c"]


def test_the_first_score_of_a_trial_holds() -> None:
    step = Step(1)
    step.record("a", 1.0)
    step.record("a", 9.0)
    assert step.scores == {"a": 1.0}
    assert step.forget("a") == 1.0
    assert not step.scores
    assert not step.ranking


def test_a_share_of_the_trials_is_exact() -> None:
    step = Step(1)
    for number in range(33):
        step.record(str(number), number)
    assert 33 / 1.1 < 30
    assert step.places(1.1) == 30


def test_of_equals_the_first_to_arrive_is_the_best() -> None:
    step = Step(1)
    for name in "cab":
        step.record(name, 1.0)
    assert step.best(3) == ["c"]
    assert step.best(1.5) == ["c", "a"]


def test_a_trial_arrives_at_the_highest_rung_that_it_reaches_and_nowhere_twice() -> None:
    ladder = Ladder([1, 3, 9])
    assert ladder.arrival("a", 0.5) is None
    assert ladder.arrival("a", 1) == 0
    assert ladder.arrival("a", 4) == 1
    ladder.steps[1].record("a", 0.5)
    assert ladder.arrival("a", 4) is None
    assert ladder.arrival("a", 1) is None, "it was compared further up: rungs that were jumped over are not made up for"
    assert ladder.arrival("a", 9) == 2


def test_a_rounding_error_keeps_no_trial_from_its_rung() -> None:
    ladder = Ladder(levels(0.1, 10, 3))
    assert ladder.reached(0.3) == 1
    assert 0.1 * 3 > 0.3


def test_the_picture_shows_values_as_they_were_reported() -> None:
    ladder = Ladder([1, 3])
    ladder.steps[0].record("a", -0.5)
    ladder.steps[0].went_on.add("a")
    low, high = ladder.picture(2, -1.0, {0: -0.7})
    assert low == Rung(2, 1, {"a": 0.5}, frozenset({"a"}), 0.7)
    assert high == Rung(2, 3, {}, frozenset(), None)
