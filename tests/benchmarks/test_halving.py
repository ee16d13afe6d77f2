"""What is said of halving is computed from the searches as it should be, and the replayed searches are the same each time."""

from __future__ import annotations

import math

import pytest

from nbray.tune.schedulers import ASHAScheduler
from tests.benchmarks import halving
from tests.benchmarks.curves import EPOCHS, digits
from tests.benchmarks.halving import FORMS, Search
from tests.benchmarks.lcdb_curves import SHARES, DataSet
from tests.benchmarks.replays import replay


def test_a_search_knows_when_it_was_as_good() -> None:
    search = Search([(1.0, 0.5), (4.0, 0.9)], 10.0, 30)
    assert search.best == 0.9
    assert [search.reached(level) for level in (0.4, 0.5, 0.6, 0.91)] == [1.0, 1.0, 4.0, math.inf]


def test_random_search_trains_everything_and_asha_less() -> None:
    configs = digits().configs[:30]
    epochs = {form: len(replay(configs, halving._digits_curve, make()).reports) for form, make in FORMS.items()}
    assert epochs["random"] == 30 * EPOCHS
    assert max(epochs["stop"], epochs["promote"]) < epochs["random"] / 3


@pytest.mark.parametrize("form", FORMS)
def test_a_replay_is_the_same_each_time(form: str) -> None:
    first, second = (replay(digits().configs[:30], halving._digits_curve, FORMS[form]()).reports for _ in range(2))
    assert first == second


def test_a_choice_counts_the_training_of_what_it_chose() -> None:
    """At least eight first steps and the rest of the good one, which was trained on everything after it was chosen."""
    steps = [(0.5, 1.0), (0.6, 3.0), (0.7, 9.0), (0.8, 27.0)]
    learners = {f"number {number}": [(accuracy + number / 100, seconds) for accuracy, seconds in steps] for number in range(8)}
    data_set = DataSet(1, learners, full_seconds=8 * 27.0)
    scheduler = ASHAScheduler(time_attr="share", max_t=SHARES[-1], grace_period=1, reduction_factor=3, type="promote")
    choice = halving.choose(data_set, scheduler, seed=0)
    assert choice.given_up == 0
    assert (8 + 3 + 9 + 27) / (8 * 27) <= choice.share < 0.5
