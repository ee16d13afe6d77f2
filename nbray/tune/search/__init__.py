"""Searchers: what suggests the configurations that are tried.

`RandomSearch`, `BasicVariantGenerator` (its name in Ray), `GridSearch` and `QuasiRandomSearch` draw them; `OptunaSearch`
learns from the results; `ConcurrencyLimiter` and `Repeater` take a searcher and change its ways; your own are made from
`Searcher`.

Importing it imports none of them: a name is looked up when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbray.lazy_names import lazy_names

if TYPE_CHECKING:
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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        f"{__name__}.basic_variant": ["BasicVariantGenerator"],
        f"{__name__}.concurrency_limiter": ["ConcurrencyLimiter"],
        f"{__name__}.searcher": ["FINISHED", "Searcher"],
        f"{__name__}.grid_search": ["GridSearch"],
        f"{__name__}.optuna": ["OptunaSearch"],
        f"{__name__}.quasi_random": ["QuasiRandomSearch"],
        f"{__name__}.random_search": ["RandomSearch"],
        f"{__name__}.repeater": ["Repeater"],
    },
)
