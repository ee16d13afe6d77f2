from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from nbray.tune.draws import draw
from nbray.tune.search.samples import Samples
from nbray.tune.search.searcher import Exhausted
from nbray.tune.search_space import SearchSpace
from nbray.tune.spaces import choice, grid_search, randint, sample_from, uniform


def all_of(space: dict[str, Any], count: int = 1, **options: Any) -> list[dict[str, Any]]:
    """All configurations; their number is what was foretold."""
    samples = Samples(SearchSpace(space), partial(draw, 1), count, 1, **options)
    configs: list[dict[str, Any]] = []
    while not isinstance(config := samples.next(), Exhausted):
        configs.append(config)
    assert isinstance(samples.next(), Exhausted)
    assert samples.total == len(configs)
    return configs


def test_grids_make_all_combinations_and_the_first_varies_fastest() -> None:
    configs = all_of({"a": grid_search([1, 2]), "b": grid_search([3, 4]), "c": {"d": grid_search(["xy", "z"])}})
    assert [(config["a"], config["b"], config["c"]["d"]) for config in configs] == [
        (1, 3, "xy"), (2, 3, "xy"), (1, 4, "xy"), (2, 4, "xy"), (1, 3, "z"), (2, 3, "z"), (1, 4, "z"), (2, 4, "z"),
    ]  # fmt: skip


def test_samples_repeat_the_grid_and_draw_anew_for_each_configuration() -> None:
    configs = all_of({"g": grid_search([1, 2, 3]), "x": uniform(0, 1)}, 2)
    assert [config["g"] for config in configs] == [1, 2, 3, 1, 2, 3]
    assert len({config["x"] for config in configs}) == 6


def test_a_constant_grid_shares_what_is_drawn() -> None:
    configs = all_of({"g": grid_search([1, 2]), "x": uniform(0, 1), "y": sample_from(lambda config, rng: rng.random())}, 2,
                     constant_grid=True)  # fmt: skip
    pairs = [(config["x"], config["y"]) for config in configs]
    assert pairs[0] == pairs[1] != pairs[2] == pairs[3]


def test_grids_in_the_values_of_grids_are_tried_only_there() -> None:
    space = {"a": grid_search([1, 2]), "m": grid_search(["linear", {"depth": grid_search([2, 4])}])}
    assert all_of(space) == [
        {"a": 1, "m": "linear"}, {"a": 2, "m": "linear"},
        {"a": 1, "m": {"depth": 2}}, {"a": 2, "m": {"depth": 2}},
        {"a": 1, "m": {"depth": 4}}, {"a": 2, "m": {"depth": 4}},
    ]  # fmt: skip


def test_a_grid_in_a_category_is_tried_whole_whenever_that_is_drawn() -> None:
    configs = all_of({"m": choice(["linear", {"depth": grid_search([2, 4, 8]), "w": randint(0, 10**6)}])}, 20)
    linear = [config for config in configs if config["m"] == "linear"]
    depths = [config["m"]["depth"] for config in configs if config["m"] != "linear"]
    assert depths == [2, 4, 8] * (20 - len(linear))
    assert 0 < len(linear) < 20
    assert len({config["m"]["w"] for config in configs if config["m"] != "linear"}) == len(depths)


def test_points_come_first_and_leave_open_what_they_do_not_name() -> None:
    space = {"a": grid_search([1, 2]), "x": uniform(0, 1)}
    configs = all_of(space, 3, points=[{"a": 2, "x": 0.5}, {"x": 0.7}])
    assert configs[:3] == [{"a": 2, "x": 0.5}, {"a": 1, "x": 0.7}, {"a": 2, "x": 0.7}]
    assert [config["a"] for config in configs[3:]] == [1, 2]


def test_more_points_than_samples_are_all_tried() -> None:
    assert all_of({"x": uniform(0, 1)}, 1, points=[{"x": 0.5}, {"x": 0.7}]) == [{"x": 0.5}, {"x": 0.7}]
    assert len(all_of({"g": grid_search([1, 2]), "x": choice([grid_search([5]), 4])}, 1, points=[{"x": 4}, {"x": 4}])) == 4


def test_there_may_be_no_end() -> None:
    samples = Samples(SearchSpace({"g": grid_search([1, 2])}), partial(draw, 1), -1, 1)
    assert samples.total is None
    assert [samples.next() for _ in range(5)] == [{"g": 1}, {"g": 2}, {"g": 1}, {"g": 2}, {"g": 1}]


def test_a_constant_space_is_repeated() -> None:
    assert all_of({"a": 1}, 3) == [{"a": 1}] * 3
    assert all_of({}, 2) == [{}, {}]


@pytest.mark.parametrize("other", [{"b": uniform(5, 6)}, {"b": choice([1, 2]), "c": 3}, {"f": sample_from(len)}])
def test_what_is_drawn_does_not_depend_on_what_else_is_in_the_space(other: dict[str, Any]) -> None:
    alone = all_of({"x": uniform(0, 1)}, 5)
    together = all_of({**other, "x": uniform(0, 1)}, 5)
    assert [config["x"] for config in alone] == [config["x"] for config in together]
