"""Searches in fake time: recorded learning curves through the same Experiment that runs on a cluster."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nbray.tune.configs import RunConfig, TuneConfig
from nbray.tune.experiment import Experiment
from nbray.tune.plan import Plan
from nbray.tune.schedulers.fifo import FIFOScheduler
from nbray.tune.schedulers.scheduler import TrialScheduler
from nbray.tune.search.searcher import FINISHED, Exhausted, Searcher
from nbray.tune.simulator import Curve, Simulated, simulate


class Listed(Searcher):
    """Suggests the configurations of a list, one after another."""

    def __init__(self, configs: Iterable[Mapping[str, Any]]) -> None:
        super().__init__()
        self._configs = [dict(config) for config in configs]
        self._numbers = itertools.count()

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        self.metric, self.mode = metric, mode

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        number = next(self._numbers)
        return self._configs[number] if number < len(self._configs) else FINISHED

    def total(self) -> int:
        return len(self._configs)


def replay(
    searcher: Searcher | Sequence[Mapping[str, Any]],
    curve_of: Callable[[Mapping[str, Any]], Curve],
    scheduler: TrialScheduler | None = None,
    *,
    workers: int = 2,
    mode: str = "max",
    space: Mapping[str, Any] | None = None,
    samples: int = -1,
    seed: int = 0,
) -> Simulated:
    """Run a search of `score` to its end; the searcher may be a list of configurations."""
    searcher = searcher if isinstance(searcher, Searcher) else Listed(searcher)
    config = TuneConfig(
        metric="score", mode=mode, search_alg=searcher, scheduler=scheduler or FIFOScheduler(), num_samples=samples, seed=seed
    )
    plan = Plan(name="replay", path="/replay", trainable=curve_of, param_space=space or {}, tune=config, run=RunConfig())
    return simulate(Experiment.of(plan), curve_of, workers)
