"""Runs a searcher as an experiment does, one trial after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbray.tune.search.searcher import Exhausted, Searcher


def prepare(searcher: Searcher, space: dict[str, Any] | None = None, num_samples: int = 10, seed: int = 0,
            metric: str | None = "loss", mode: str | None = "min") -> Searcher:  # fmt: skip
    searcher.set_search_properties(metric, mode, space or {}, num_samples, seed)
    return searcher


def run(searcher: Searcher, loss: Callable[[dict[str, Any]], float] = lambda _: 0.0, most: int = 999) -> list[dict[str, Any]]:
    """The configurations of all trials, of which each ends with its loss before the next one begins."""
    configs: list[dict[str, Any]] = []
    while len(configs) < most:
        trial_id = str(len(configs))
        config = searcher.suggest(trial_id)
        if isinstance(config, Exhausted):
            break
        assert config is not None, "nothing is under way that it could wait for"
        configs.append(config)
        searcher.on_trial_complete(trial_id, {"loss": loss(config), "training_iteration": 1})
    return configs
