"""Schedulers: what decides, report by report, which trials go on."""

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
