"""CSVLoggerCallback: each trial's reports as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbray.tune.loggers.logger import LoggerCallback
from nbray.tune.loggers.plain_values import flat
from nbray.tune.loggers.trial_files import TrialFiles
from nbray.tune.trial import Trial


class CSVLoggerCallback(LoggerCallback):
    """Writes progress.csv, a row for each report, into each trial's directory.

    Dicts in reports become columns with slashes in their names. A column that appears in a later report is empty in the rows
    before it.

    >>> from nbray import tune
    >>> run_config = tune.RunConfig(callbacks=[tune.loggers.CSVLoggerCallback()])
    """

    def __init__(self) -> None:
        self._files = TrialFiles()
        self._columns: dict[Path, list[str]] = {}

    def log_trial_result(self, iteration: int, trial: Trial, result: Mapping[str, Any]) -> None:
        path = self.directory(trial) / "progress.csv"
        row = flat(result)
        new = [name for name in row if name not in self._columns.get(path, ())]
        if new:
            self._widen(path, new)
        self._files.append(path, line(row.get(name, "") for name in self._columns[path]))

    def _widen(self, path: Path, new: list[str]) -> None:
        """Give the table columns more; the rows that are there already are written again."""
        rows: list[list[str]] = []
        if path in self._columns:
            self._files.close(path)
            with path.open(newline="") as file:
                rows = list(csv.reader(file))[1:]
        columns = self._columns.setdefault(path, [])
        columns.extend(new)
        self._files.begin(path, line(columns) + "".join(line([*row, *[""] * len(new)]) for row in rows))

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self._files.close(self.directory(trial) / "progress.csv")

    def on_experiment_end(self, trials: Sequence[Trial], **info: Any) -> None:
        self._files.close()


def line(cells: Iterable[Any]) -> str:
    """One row of a table.

    >>> line(["loss", "a, b"])
    'loss,"a, b"\\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
