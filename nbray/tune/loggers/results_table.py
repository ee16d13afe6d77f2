"""ResultsTable: what came of each trial as a row of results.csv, in the experiment's directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbray.tune.callbacks import Callback
from nbray.tune.loggers.csv_logger import line
from nbray.tune.loggers.plain_values import flat, own
from nbray.tune.plan import Plan
from nbray.tune.trial import Trial

FILE = "results.csv"


class ResultsTable(Callback):
    """Written at the end of every experiment, whatever else is asked for."""

    in_controller = True
    _plan: Plan

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        self._plan = info["plan"]

    def on_experiment_end(self, trials: Sequence[Trial], **info: Any) -> None:
        rows = [row(trial) for trial in trials]
        columns = list(dict.fromkeys(name for each in rows for name in each))
        ordered = [name for name in columns if name != "error"] + ["error"]
        text = line(ordered) + "".join(line(each.get(name, "") for name in ordered) for each in rows)
        (Path(self._plan.path) / FILE).write_text(text)


def row(trial: Trial) -> dict[str, Any]:
    """A trial as a flat row: its last report, its configuration, and how it ended.

    >>> row(Trial("00000", {"x": 1}, last_result={"loss": 2.0}))
    {'trial_id': '00000', 'state': 'PENDING', 'loss': 2.0, 'config/x': 1, 'error': ''}
    """
    last_words = trial.error.strip().splitlines()[-1:]
    return {
        "trial_id": trial.trial_id,
        "state": str(trial.state),
        **own(trial.last_result),
        **flat(trial.config, "config/"),
        **{name: value for name, value in flat(trial.last_result).items() if name != "trial_id"},
        "error": last_words[0] if last_words else "",
    }
