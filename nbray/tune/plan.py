"""The plan of an experiment: everything that it is made of, settled before it starts and kept beside its journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbray.checkpoints import Checkpoint
from nbray.tune.configs import RunConfig, TuneConfig
from nbray.tune.trial import Trial


@dataclass(frozen=True)
class Plan:
    """An experiment as it was asked for, with its name, searcher and scheduler filled in."""

    name: str
    path: str
    """Its directory, absolute."""
    trainable: Any
    """A function or a class."""
    param_space: Mapping[str, Any]
    tune: TuneConfig
    run: RunConfig
    trainable_name: str = "trial"
    fingerprint: str = ""
    """Of the trainable's code, to tell whether it has been changed when the experiment is restored."""
    environments: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    """What `register_env` has been told, for the processes that run trials."""

    def name_of(self, trial: Trial) -> str:
        """What people call a trial."""
        creator = self.tune.trial_name_creator
        return str(creator(trial)) if creator is not None else f"{self.trainable_name}_{trial.trial_id}"

    def checkpoint_of(self, path: str) -> Checkpoint:
        """The checkpoint that an entry of the journal names by its place in the experiment's directory."""
        return Checkpoint(Path(self.path) / path)

    def directory_of(self, trial_id: str) -> str:
        """A trial's directory; it is there once something has been written into it."""
        return f"{self.path}/trial_{trial_id}"
