"""Searchers: what suggests the configurations that are tried.

`RandomSearch`, `BasicVariantGenerator` (its name in Ray), `GridSearch` and `QuasiRandomSearch` draw them; `OptunaSearch`
learns from the results; `ConcurrencyLimiter` and `Repeater` take a searcher and change its ways; your own are made from
`Searcher`.
"""

from __future__ import annotations

from nbray.tune.search.basic_variant import BasicVariantGenerator
from nbray.tune.search.concurrency_limiter import ConcurrencyLimiter
from nbray.tune.search.grid_search import GridSearch
from nbray.tune.search.optuna import OptunaSearch
from nbray.tune.search.quasi_random import QuasiRandomSearch
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.search.repeater import Repeater
from nbray.tune.search.searcher import FINISHED, Searcher

__all__ = [
    "FINISHED",
    "BasicVariantGenerator",
    "ConcurrencyLimiter",
    "GridSearch",
    "OptunaSearch",
    "QuasiRandomSearch",
    "RandomSearch",
    "Repeater",
    "Searcher",
]
