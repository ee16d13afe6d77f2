from __future__ import annotations

import math
from typing import Any

import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.search.repeater import TRIAL_INDEX, Repeater
from nbray.tune.search.searcher import FINISHED
from nbray.tune.spaces import grid_search, uniform
from tests.tune.search.searching import prepare, run
from tests.tune.search.test_concurrency_limiter import Hearing


def begin(repeat: int = 3, **options: Any) -> tuple[Hearing, Repeater, list[Any]]:
    """A repeater whose first group is under way."""
    inner = Hearing()
    search = Repeater(inner, repeat, **options)
    prepare(search, num_samples=-1)
    return inner, search, [search.suggest(str(number)) for number in range(repeat)]


def test_each_configuration_is_tried_several_times_under_its_number() -> None:
    _, search, configs = begin()
    assert configs == [{"x": 1, TRIAL_INDEX: 0}, {"x": 1, TRIAL_INDEX: 1}, {"x": 1, TRIAL_INDEX: 2}]
    assert search.suggest("3") == {"x": 2, TRIAL_INDEX: 0}
    assert begin(set_index=False)[2] == [{"x": 1}] * 3


def test_the_searcher_hears_the_mean_when_all_have_ended() -> None:
    inner, search, _ = begin()
    search.on_trial_result("0", {"loss": 9.0})
    search.on_trial_complete("2", {"loss": 1.0})
    search.on_trial_complete("0", {"loss": 2.0})
    assert inner.heard == []
    search.on_trial_complete("1", {"loss": 6.0})
    assert inner.heard == [("complete", "0", 3.0, False)]


def test_trials_that_failed_or_reported_no_number_are_left_out() -> None:
    inner, search, _ = begin(4)
    search.on_trial_complete("0", {"loss": 5.0}, error=True)
    search.on_trial_complete("1", {"loss": math.nan})
    search.on_trial_complete("2", {"other": 1.0})
    search.on_trial_complete("3", {"loss": 2.0})
    assert inner.heard == [("complete", "0", 2.0, False)]


def test_a_configuration_that_never_worked_is_an_error() -> None:
    inner, search, _ = begin(2)
    search.on_trial_complete("0", None, error=True)
    search.on_trial_complete("1", None)
    assert inner.heard == [("complete", "0", None, True)]


def test_the_trials_are_counted_with_their_repetitions() -> None:
    search = prepare(Repeater(RandomSearch(), 3), {"x": uniform(0, 1), "g": grid_search([1, 2])}, num_samples=6)
    assert search.total() == 12
    configs = run(search)
    assert len(configs) == 12
    assert [config[TRIAL_INDEX] for config in configs] == [0, 1, 2] * 4
    assert len({config["x"] for config in configs}) == 4
    assert search.suggest("z") is FINISHED
    with pytest.raises(UsageError, match=r"num_samples=7 is no multiple of repeat=3: .*Write num_samples=9"):
        prepare(Repeater(RandomSearch(), 3), num_samples=7)


def test_a_configuration_that_was_replaced_is_repeated_as_it_is_now() -> None:
    inner = Hearing()
    search = prepare(Repeater(inner, 2), num_samples=-1)
    search.suggest("a")
    search.on_trial_given("a", {"x": 50, TRIAL_INDEX: 0})
    assert search.suggest("b") == {"x": 50, TRIAL_INDEX: 1}
    search.on_trial_given("b", {"x": 60, TRIAL_INDEX: 1})
    search.on_trial_given("z", {"x": 70})
    assert inner.heard == [("given", "a", {"x": 50}), ("given", "z", {"x": 70})]


def test_what_somebody_added_is_passed_on_under_its_own_name() -> None:
    inner, search, _ = begin()
    search.on_trial_given("z", {"x": 70})
    search.on_trial_complete("z", {"loss": 4.0})
    search.on_trial_stopped("never", {"loss": 4.0})
    assert inner.heard == [("given", "z", {"x": 70}), ("complete", "z", 4.0, False), ("stopped", "never")]


def test_bad_arguments_are_quoted() -> None:
    wrong: Any = "random"
    with pytest.raises(WrongType, match=r"Repeater got 'random'. It takes a searcher: Repeater\(RandomSearch\(\), 3\)"):
        Repeater(wrong, 2)
    for repeat in (0, 1.5, True):
        count: Any = repeat
        with pytest.raises(UsageError, match=f"Repeater got repeat={repeat}. It is how often"):
            Repeater(RandomSearch(), count)


def test_without_a_metric_it_takes_the_one_of_plain_numbers() -> None:
    inner = Hearing()
    search = prepare(Repeater(inner, 1), num_samples=-1, metric=None, mode=None)
    search.suggest("a")
    search.on_trial_complete("a", {"_metric": 3.0})
    assert search.metric == "_metric"
    assert inner.heard == [("complete", "a", None, False)]
