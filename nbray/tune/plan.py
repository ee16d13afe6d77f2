"""The plan of an experiment: everything that it is made of, settled before it starts and kept beside its journal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbray.tune.configs import RunConfig, TuneConfig
from nbray.tune.trial import Trial


@dataclass(frozen=True)
class Plan:
    """An experiment as it was asked for, with names, searcher and scheduler filled in."""

    name: str
    path: str
    """Its directory, absolute; made when something is written into it."""
    trainable: Any
    """As given: a function, a class, or the name of a registered one."""
    param_space: Mapping[str, Any]
    tune: TuneConfig
    run: RunConfig
    trainable_name: str = "trial"

    def name_of(self, trial: Trial) -> str:
        """What people call a trial."""
        creator = self.tune.trial_name_creator
        return str(creator(trial)) if creator is not None else f"{self.trainable_name}_{trial.trial_id}"
