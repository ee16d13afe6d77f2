from __future__ import annotations

import pytest

from nbray.errors import UsageError
from nbray.tune.search.quasi_random import QuasiRandomSearch
from nbray.tune.spaces import choice, grid_search, randint, sample_from, uniform
from tests.tune.search.searching import prepare, run

SPACE = {"x": uniform(0, 1), "m": choice(["linear", {"depth": randint(0, 3)}])}


def test_it_leaves_no_holes() -> None:
    for seed in range(10):
        configs = run(prepare(QuasiRandomSearch(seed=seed), {"x": uniform(0, 1), "y": uniform(0, 1)}, 36))
        assert len({(int(4 * config["x"]), int(3 * config["y"])) for config in configs}) == 12


def test_the_same_seed_gives_the_same_configurations() -> None:
    first = run(prepare(QuasiRandomSearch(seed=1), SPACE))
    assert first == run(prepare(QuasiRandomSearch(), SPACE, seed=1))
    assert first != run(prepare(QuasiRandomSearch(), SPACE, seed=2))


def test_categories_grids_points_and_functions_work_as_in_random_search() -> None:
    space = {**SPACE, "g": grid_search([1, 2]), "f": sample_from(lambda config: uniform(0, config["x"]))}
    search = prepare(QuasiRandomSearch(points_to_evaluate=[{"x": 0.5, "g": 2}]), space, 4)
    configs = run(search)
    assert search.total() == len(configs) == 7
    assert (configs[0]["x"], configs[0]["g"]) == (0.5, 2)
    assert all(0 <= config["f"] <= config["x"] for config in configs)
    assert len({config["f"] for config in configs}) == 7


def test_its_metric_may_not_differ_from_the_experiments() -> None:
    with pytest.raises(UsageError, match=r"QuasiRandomSearch has mode='max' and the experiment"):
        prepare(QuasiRandomSearch(mode="max"), SPACE)
