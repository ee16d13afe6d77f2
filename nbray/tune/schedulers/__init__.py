"""Schedulers: what decides, report by report, which trials go on.

`FIFOScheduler` lets all run to their end; `ASHAScheduler` (in Ray also `AsyncHyperBandScheduler`), `HyperBandScheduler` and
`MedianStoppingRule` end or pause poor ones; `PopulationBasedTraining` turns them into copies of good ones; your own are made from
`TrialScheduler`.

Importing it imports none of them: a name is looked up when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbray.tune.schedulers.asha import ASHAScheduler, AsyncHyperBandScheduler
    from nbray.tune.schedulers.fifo import FIFOScheduler
    from nbray.tune.schedulers.hyperband import HyperBandForBOHB, HyperBandScheduler
    from nbray.tune.schedulers.median_stopping import MedianStoppingRule
    from nbray.tune.schedulers.pbt import PopulationBasedTraining
    from nbray.tune.schedulers.scheduler import Decision, Resumption, Rung, TrialScheduler

_MODULE_OF = {
    "ASHAScheduler": "asha",
    "AsyncHyperBandScheduler": "asha",
    "Decision": "scheduler",
    "FIFOScheduler": "fifo",
    "HyperBandForBOHB": "hyperband",
    "HyperBandScheduler": "hyperband",
    "MedianStoppingRule": "median_stopping",
    "PopulationBasedTraining": "pbt",
    "Resumption": "scheduler",
    "Rung": "scheduler",
    "TrialScheduler": "scheduler",
}

__all__ = [
    "ASHAScheduler",
    "AsyncHyperBandScheduler",
    "Decision",
    "FIFOScheduler",
    "HyperBandForBOHB",
    "HyperBandScheduler",
    "MedianStoppingRule",
    "PopulationBasedTraining",
    "Resumption",
    "Rung",
    "TrialScheduler",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for at its first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nbray.tune.schedulers' has no attribute {name!r}")
    value = getattr(import_module(f"nbray.tune.schedulers.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
