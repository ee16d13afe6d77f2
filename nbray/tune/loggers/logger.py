"""The common part of loggers: which of a trial's moments they hear of, and its directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbray.tune.callbacks import Callback
from nbray.tune.plan import Plan
from nbray.tune.trial import Trial


class LoggerCallback(Callback):
    """Derive from it to write files of your own: it is called where the experiment is led, on a worker.

    When an experiment is restored it hears everything from the beginning again: write files anew.
    """

    in_controller = True
    hears_the_past = True
    plan: Plan

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        self.plan = info["plan"]

    def directory(self, trial: Trial) -> Path:
        """The trial's directory; it is made if it is not there."""
        path = Path(self.plan.directory_of(trial.trial_id))
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log_trial_start(self, trial: Trial) -> None:
        """A trial begins to run, or runs on."""

    def log_trial_result(self, iteration: int, trial: Trial, result: Mapping[str, Any]) -> None:
        """A trial has reported; `iteration` counts what has happened in the experiment."""

    def log_trial_save(self, trial: Trial) -> None:
        """A trial has written a checkpoint."""

    def log_trial_restore(self, trial: Trial) -> None:
        """A trial runs on from a checkpoint."""

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """A trial has ended."""

    def on_trial_start(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        self.log_trial_start(trial)

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: Mapping[str, Any], **info: Any
    ) -> None:
        self.log_trial_result(iteration, trial, result)

    def on_trial_save(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        self.log_trial_save(trial)

    def on_trial_restore(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        self.log_trial_restore(trial)

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        self.log_trial_end(trial)

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        self.log_trial_end(trial, failed=True)
