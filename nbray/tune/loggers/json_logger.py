"""JsonLoggerCallback: each trial's reports as lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nbray.tune.loggers.logger import LoggerCallback
from nbray.tune.loggers.plain_values import plain
from nbray.tune.loggers.trial_files import TrialFiles
from nbray.tune.trial import Trial


class JsonLoggerCallback(LoggerCallback):
    """Writes result.json, a line of JSON for each report, and params.json, the configuration, into each trial's directory.

    NaN and the infinities, which JSON has no numbers for, become text.

    >>> from nbray import tune
    >>> tune.RunConfig(callbacks=[tune.loggers.JsonLoggerCallback()]).callbacks[0].in_controller
    True
    """

    def __init__(self) -> None:
        self._files = TrialFiles()

    def log_trial_start(self, trial: Trial) -> None:
        path = self.directory(trial) / "params.json"
        self._files.begin(path, json.dumps(plain(trial.config), indent=2) + "\n")
        self._files.close(path)

    def log_trial_result(self, iteration: int, trial: Trial, result: Mapping[str, Any]) -> None:
        line = json.dumps(plain({**result, "config": trial.config}))
        self._files.append(self.directory(trial) / "result.json", line + "\n")

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._files.close(self.directory(trial) / "result.json")

    def on_experiment_end(self, trials: Sequence[Trial], **info: Any) -> None:
        self._files.close()
