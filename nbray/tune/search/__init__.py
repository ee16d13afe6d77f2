"""Searchers: what suggests the configurations that are tried.

`RandomSearch`, `BasicVariantGenerator` (its name in Ray), `GridSearch` and `QuasiRandomSearch` draw them; `OptunaSearch`
learns from the results; `ConcurrencyLimiter` and `Repeater` take a searcher and change its ways; your own are made from
`Searcher`.

Importing it imports none of them: a name is looked up when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbray.tune.search.basic_variant import BasicVariantGenerator
    from nbray.tune.search.concurrency_limiter import ConcurrencyLimiter
    from nbray.tune.search.grid_search import GridSearch
    from nbray.tune.search.optuna import OptunaSearch
    from nbray.tune.search.quasi_random import QuasiRandomSearch
    from nbray.tune.search.random_search import RandomSearch
    from nbray.tune.search.repeater import Repeater
    from nbray.tune.search.searcher import FINISHED, Searcher

_MODULE_OF = {
    "BasicVariantGenerator": "basic_variant",
    "ConcurrencyLimiter": "concurrency_limiter",
    "FINISHED": "searcher",
    "GridSearch": "grid_search",
    "OptunaSearch": "optuna",
    "QuasiRandomSearch": "quasi_random",
    "RandomSearch": "random_search",
    "Repeater": "repeater",
    "Searcher": "searcher",
}

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


def __getattr__(name: str) -> Any:
    """Import what is asked for at its first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nbray.tune.search' has no attribute {name!r}")
    value = getattr(import_module(f"nbray.tune.search.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
