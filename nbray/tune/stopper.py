"""Ray's name for `nbray.tune.stoppers`: `from nbray.tune.stopper import TrialPlateauStopper`."""

from __future__ import annotations

from nbray.tune.stoppers import (
    CombinedStopper,
    ExperimentPlateauStopper,
    FunctionStopper,
    MaximumIterationStopper,
    NoopStopper,
    Stopper,
    TimeoutStopper,
    TrialPlateauStopper,
)

__all__ = [
    "CombinedStopper", "ExperimentPlateauStopper", "FunctionStopper", "MaximumIterationStopper", "NoopStopper", "Stopper",
    "TimeoutStopper", "TrialPlateauStopper",
]  # fmt: skip
