from __future__ import annotations

from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.tune.search.grid_search import GridSearch
from nbray.tune.spaces import choice, grid_search, loguniform, qrandint, quniform, randint, randn, sample_from, uniform
from tests.tune.search.searching import prepare, run


def grid(space: dict[str, Any], num_samples: int = 1, **options: Any) -> list[dict[str, Any]]:
    search = prepare(GridSearch(**options), space, num_samples)
    configs = run(search)
    assert search.total() == len(configs)
    return configs


def test_all_that_can_be_counted_is_tried() -> None:
    space = {
        "a": choice(["x", "y"]), "b": randint(1, 4), "c": qrandint(10, 20, 10), "d": quniform(0, 0.2, 0.1), "e": grid_search([5]),
    }  # fmt: skip
    configs = grid(space)
    assert len(configs) == 2 * 3 * 2 * 3
    assert len({tuple(config.values()) for config in configs}) == 36
    assert configs[:3] == [
        {"a": "x", "b": 1, "c": 10, "d": 0.0, "e": 5},
        {"a": "y", "b": 1, "c": 10, "d": 0.0, "e": 5},
        {"a": "x", "b": 2, "c": 10, "d": 0.0, "e": 5},
    ]


def test_ranges_are_tried_at_even_distances_with_both_ends() -> None:
    assert [config["x"] for config in grid({"x": uniform(0, 1)}, points_per_range=5)] == [0, 0.25, 0.5, 0.75, 1]
    assert [config["x"] for config in grid({"x": loguniform(1, 1000)}, points_per_range=4)] == pytest.approx([1, 10, 100, 1000])
    assert [config["x"] for config in grid({"x": uniform(-1.6, 3.7)}, points_per_range=2)] == [-1.6, 3.7]
    assert [config["x"] for config in grid({"x": randint(0, 101)}, points_per_range=3)] == [0, 50, 100]
    assert [config["x"] for config in grid({"x": randint(0, 3)}, points_per_range=9)] == [0, 1, 2]
    assert [config["x"] for config in grid({"x": uniform(0, 1)}, points_per_range=1)] == [0.5]
    assert [config["x"] for config in grid({"x": randn(5, 1)}, points_per_range=3)] == pytest.approx([4.03, 5, 5.97], abs=0.01)


def test_categories_are_tried_with_all_that_they_hold() -> None:
    space = {"m": choice(["linear", {"depth": choice([2, 4])}]), "w": sample_from(lambda config: str(config["m"]))}
    assert [config["m"] for config in grid(space)] == ["linear", {"depth": 2}, {"depth": 4}]
    assert [config["w"] for config in grid(space)] == ["linear", "{'depth': 2}", "{'depth': 4}"]


def test_num_samples_repeats_the_grid_and_points_come_first() -> None:
    configs = grid({"a": choice([1, 2]), "b": choice([3, 4])}, num_samples=2, points_to_evaluate=[{"b": 4}])
    assert [(config["a"], config["b"]) for config in configs] == [(1, 4), (2, 4), (1, 3), (2, 3), (1, 4), (2, 4)]


@pytest.mark.parametrize(("domain", "message"), [
    (uniform(0, 1), r"cannot try all of 'm/x': uniform\(0.0, 1.0\) has any number of values. .*points_per_range=5"),
    (randint(0, 5000), r"randint\(0, 5000\) has 5,000 values.*list them: tune.grid_search"),
    (randn(), "has any number of values"),
])  # fmt: skip
def test_a_range_without_a_number_of_points_is_an_error(domain: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        prepare(GridSearch(), {"m": {"x": domain}})
    prepare(GridSearch(points_per_range=2), {"m": {"x": domain}})


def test_a_constant_space_has_nothing_to_search() -> None:
    with pytest.raises(UsageError, match=r"GridSearch has nothing to search: the space has no choice, range or grid_search"):
        prepare(GridSearch(), {"a": 1})


@pytest.mark.parametrize("count", [0, 2.5, 10**6])
def test_a_bad_number_of_points_is_quoted(count: Any) -> None:
    with pytest.raises(UsageError, match=r"GridSearch got points_per_range=.*such as 5"):
        GridSearch(points_per_range=count)
