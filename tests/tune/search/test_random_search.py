from __future__ import annotations

import pickle
from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.tune.search.random_search import RandomSearch, check_max_concurrent
from nbray.tune.search.searcher import FINISHED
from nbray.tune.spaces import choice, grid_search, lograndint, loguniform, randint, randn, uniform
from tests.tune.search.searching import prepare, run

SPACE = {
    "lr": loguniform(1e-4, 1e-1),
    "depth": randint(1, 20),
    "width": lograndint(8, 1024),
    "shift": randn(0, 1),
    "model": choice([{"kind": "svm", "C": uniform(0, 10)}, {"kind": "forest", "max_depth": choice([None, 4])}]),
}


def test_the_same_seed_gives_the_same_configurations_on_every_machine() -> None:
    assert run(prepare(RandomSearch(seed=7), SPACE, 2)) == [
        {"lr": 0.0008035400586854573, "depth": 2, "width": 764, "shift": 0.13965456129384235,
         "model": {"kind": "forest", "max_depth": 4}},
        {"lr": 0.00010120014108521687, "depth": 18, "width": 143, "shift": -0.426823692110518,
         "model": {"kind": "forest", "max_depth": None}},
    ]  # fmt: skip


def test_the_seed_is_the_experiments_unless_it_has_its_own() -> None:
    seven = run(prepare(RandomSearch(), SPACE, 5, seed=7))
    assert seven == run(prepare(RandomSearch(seed=7), SPACE, 5, seed=1))
    assert seven != run(prepare(RandomSearch(), SPACE, 5, seed=8))


def test_what_trials_report_changes_nothing() -> None:
    assert run(prepare(RandomSearch(), SPACE), lambda config: config["depth"]) == run(prepare(RandomSearch(), SPACE))


def test_it_goes_on_where_it_was_after_pickling() -> None:
    expected = run(prepare(RandomSearch(), SPACE))
    search = prepare(RandomSearch(), SPACE)
    first = run(search, most=4)
    assert first + run(pickle.loads(pickle.dumps(search))) == expected


def test_grids_are_repeated_num_samples_times() -> None:
    search = prepare(RandomSearch({"g": grid_search([1, 2, 3]), "x": uniform(0, 1)}), {"data": "iris"}, num_samples=2)
    assert search.total() == 6
    configs = run(search)
    assert [config["g"] for config in configs] == [1, 2, 3, 1, 2, 3]
    assert {config["data"] for config in configs} == {"iris"}


def test_no_more_than_max_concurrent_trials_are_under_way() -> None:
    search = prepare(RandomSearch(max_concurrent=2), {"x": uniform(0, 1)}, num_samples=3)
    assert search.suggest("a") is not None
    assert search.suggest("b") is not None
    assert search.suggest("c") is None
    search.on_trial_complete("a", None, error=True)
    assert search.suggest("c") not in (None, FINISHED)
    search.on_trial_stopped("b", {"loss": 1})
    assert search.suggest("d") is FINISHED


@pytest.mark.parametrize("count", [-1, 1.5, "2", True])
def test_a_bad_max_concurrent_is_quoted(count: Any) -> None:
    with pytest.raises(UsageError, match=r"RandomSearch got max_concurrent=.*It is a whole number .* 4; 0 sets no limit"):
        RandomSearch(max_concurrent=count)
    with pytest.raises(UsageError, match=r"such as 4.$"):
        check_max_concurrent(0, "ConcurrencyLimiter", least=1)


def test_its_metric_may_not_differ_from_the_experiments() -> None:
    search = prepare(RandomSearch(metric="acc", mode="max"), {"x": 1}, metric=None, mode=None)
    assert (search.metric, search.mode) == ("acc", "max")
    with pytest.raises(UsageError, match=r"RandomSearch has metric='acc' and the experiment"):
        prepare(RandomSearch(metric="acc"), {"x": 1})


def test_points_that_do_not_fit_are_refused_before_the_first_trial() -> None:
    with pytest.raises(UsageError, match=r"points_to_evaluate\[0\]: 'dpth' is not in the search space"):
        prepare(RandomSearch(points_to_evaluate=[{"dpth": 4}]), SPACE)


def test_it_covers_its_space() -> None:
    configs = run(prepare(RandomSearch(), SPACE, 400))
    assert {config["depth"] for config in configs} == set(range(1, 20))
    assert 150 < sum(config["model"]["kind"] == "svm" for config in configs) < 250
    assert 90 < sum(config["lr"] < 10**-3.25 for config in configs) < 210
