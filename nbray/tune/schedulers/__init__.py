"""Schedulers: what decides, report by report, which trials go on.

`FIFOScheduler` lets all run to their end; `ASHAScheduler` (in Ray also `AsyncHyperBandScheduler`), `HyperBandScheduler` and
`MedianStoppingRule` end or pause poor ones; `PopulationBasedTraining` turns them into copies of good ones; your own are made from
`TrialScheduler`.

Importing it imports none of them: a name is looked up when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbray.lazy_names import lazy_names

if TYPE_CHECKING:
    from nbray.tune.schedulers.asha import ASHAScheduler, AsyncHyperBandScheduler
    from nbray.tune.schedulers.fifo import FIFOScheduler
    from nbray.tune.schedulers.hyperband import HyperBandForBOHB, HyperBandScheduler
    from nbray.tune.schedulers.median_stopping import MedianStoppingRule
    from nbray.tune.schedulers.pbt import PopulationBasedTraining
    from nbray.tune.schedulers.scheduler import Decision, Resumption, Rung, TrialScheduler

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

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        f"{__name__}.asha": ["ASHAScheduler", "AsyncHyperBandScheduler"],
        f"{__name__}.scheduler": ["Decision", "Resumption", "Rung", "TrialScheduler"],
        f"{__name__}.fifo": ["FIFOScheduler"],
        f"{__name__}.hyperband": ["HyperBandForBOHB", "HyperBandScheduler"],
        f"{__name__}.median_stopping": ["MedianStoppingRule"],
        f"{__name__}.pbt": ["PopulationBasedTraining"],
    },
)
