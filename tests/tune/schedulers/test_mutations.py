from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.schedulers.mutations import check_mutations, explored, fill
from nbray.tune.spaces import choice, loguniform, quniform, randint, randn, sample_from, uniform

FACTORS = (1.25, 0.5)


def perturbed(value: Any, space: Any, seed: int = 0) -> Any:
    """What becomes of one value that is never drawn anew."""
    return explored({"x": value}, {"x": space}, random.Random(seed), 0.0, FACTORS)["x"]


def all_of(value: Any, space: Any) -> set[Any]:
    return {perturbed(value, space, seed) for seed in range(40)}


def test_numbers_are_multiplied_by_one_of_the_factors() -> None:
    assert all_of(0.4, uniform(0, 1)) == {0.5, 0.2}
    assert all_of(0.01, loguniform(1e-4, 1)) == {0.0125, 0.005}
    assert all_of(-2.0, randn(0, 1)) == {-2.5, -1.0}
    assert all_of(8, lambda: 3) == {10, 4}


def test_they_stay_within_their_domain() -> None:
    assert all_of(0.9, uniform(0.6, 1)) == {1.0, 0.6}
    assert all_of(9, randint(7, 11)) == {10, 7}
    assert all_of(0.3, quniform(0, 1, 0.1)) == {0.4, 0.1} or all_of(0.3, quniform(0, 1, 0.1)) == {0.4, 0.2}
    assert all(type(value) is int for value in all_of(9, randint(1, 100)))


@pytest.mark.parametrize("space", [[1, 10, 100], (1, 10, 100), choice([1, 10, 100])])
def test_values_in_an_order_move_to_a_neighbour(space: Any) -> None:
    assert all_of(10, space) == {1, 100}
    assert all_of(100, space) == {10, 100}
    assert all_of("none of these", space) == {1, 10, 100}


def test_a_function_of_the_users_draws_what_cannot_be_multiplied() -> None:
    assert perturbed("relu", lambda: "tanh") == "tanh"
    assert perturbed(True, lambda: False) is True


def test_now_and_then_a_value_is_drawn_anew() -> None:
    rng = random.Random(3)
    values = [explored({"x": 0.4}, {"x": uniform(0, 1)}, rng, 0.25, FACTORS)["x"] for _ in range(400)]
    counted = Counter(value if value in (0.5, 0.2) else "drawn" for value in values)
    assert counted["drawn"] == pytest.approx(100, abs=25)
    assert counted[0.5] == pytest.approx(150, abs=30)


def test_nested_parameters_change_and_all_others_stay() -> None:
    config = {"model": {"depth": 4, "name": "tree"}, "data": np.arange(3), "lr": 0.4}
    changed = explored(config, {"model": {"depth": [2, 4, 8]}, "lr": uniform(0, 1)}, random.Random(1), 0.0, FACTORS)
    assert changed["model"]["depth"] in (2, 8)
    assert changed["model"]["name"] == "tree"
    assert (changed["data"] == config["data"]).all()
    assert changed["data"] is not config["data"]
    assert config["model"] == {"depth": 4, "name": "tree"}, "the original is as it was"


def test_what_somebody_took_out_is_drawn_again() -> None:
    assert explored({"y": 1}, {"x": [5], "model": {"depth": [3]}}, random.Random(0), 0.0, FACTORS) == {
        "y": 1, "x": 5, "model": {"depth": 3},
    }  # fmt: skip


def test_what_a_configuration_lacks_is_drawn() -> None:
    config = {"lr": 0.5}
    fill(config, {"lr": uniform(0, 1), "model": {"depth": [3]}, "batch": lambda: 32}, random.Random(0))
    assert config == {"lr": 0.5, "model": {"depth": 3}, "batch": 32}
    with pytest.raises(UsageError, match=r"hyperparam_mutations\['lr'\] is a dict, but a trial has lr=0.5"):
        fill({"lr": 0.5}, {"lr": {"initial": [1]}}, random.Random(0))


@pytest.mark.parametrize(
    ("mutations", "error", "text"),
    [
        ({"lr": 0.1}, WrongType, r"PBT got hyperparam_mutations\['lr'\]=0.1; type a list of values, a domain"),
        ({"lr": []}, UsageError, r"hyperparam_mutations\['lr'\]=\[\], which is empty"),
        ({"lr": float}, WrongType, r"hyperparam_mutations\['lr'\]=<class 'float'>"),
        ({"lr": sample_from(lambda config: 1)}, WrongType, "sample_from.*; type a list"),
        ({"model": {"depth": 3}}, WrongType, r"hyperparam_mutations\['model'\]\['depth'\]=3"),
        ([1, 2], WrongType, r"hyperparam_mutations=\[1, 2\]; type a dict"),
    ],
)
def test_what_nothing_can_be_changed_by_is_refused(mutations: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        check_mutations(mutations, "PBT")
