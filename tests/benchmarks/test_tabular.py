"""What the tables are searched by: OptunaSearch suggests value by value what Optuna's own study does."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from nbray.tune.search import RandomSearch
from nbray.tune.search.optuna import OptunaSearch
from tests.benchmarks import tabular

SPACE: dict[str, list[Any]] = {"depth": [1, 2, 3, 4], "rate": [0.001, 0.01, 0.1, 1.0], "kind": ["relu", "tanh"]}


def loss(config: dict[str, Any]) -> float:
    """The lower the nearer to depth 3, rate 0.1 and tanh."""
    return float(abs(config["depth"] - 3) + abs(config["rate"] - 0.1) + (config["kind"] == "relu"))


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sequential_search_with_tpe_is_optunas_own(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(tabular, "TRIALS", 25)
    seen: dict[str, list[dict[str, Any]]] = {"nbray": [], "optuna": []}

    def noting(name: str, config: dict[str, Any]) -> float:
        seen[name].append(dict(config))
        return loss(config)

    best = tabular._by_nbray(OptunaSearch(seed=seed), functools.partial(noting, "nbray"), SPACE, seed)
    assert best == tabular._by_optuna(functools.partial(noting, "optuna"), SPACE, seed)
    assert seen["nbray"] == seen["optuna"]
    assert len(seen["nbray"]) == 25


def test_random_search_is_measured_by_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "TRIALS", 60)
    assert tabular._by_nbray(RandomSearch(), loss, SPACE, 0) == 0
