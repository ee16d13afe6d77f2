"""What came of one trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbray.checkpoints import Checkpoint
from nbray.errors import TuneError, UsageError
from nbray.tables import Rows
from nbray.tune.loggers.plain_values import ADDED, flat, own
from nbray.tune.objectives import check_mode
from nbray.tune.plan import Plan
from nbray.tune.scores import figure
from nbray.tune.trial import TrialState
from nbray.tune.view import TrialRecord

if TYPE_CHECKING:
    import pandas

class Result:
    """A trial's last report, configuration, checkpoints and error; read-only."""

    def __init__(self, record: TrialRecord, plan: Plan) -> None:
        self.record = record
        """The trial as the experiment's view has it."""
        self._plan = plan

    @property
    def trial_id(self) -> str:
        """Its id, which directories bear."""
        return self.record.trial_id

    @property
    def name(self) -> str:
        """What people call the trial."""
        return self._plan.name_of(self.record)

    @property
    def state(self) -> TrialState:
        """TERMINATED or ERROR, unless the experiment was interrupted."""
        return self.record.state

    @property
    def config(self) -> dict[str, Any]:
        """Its configuration."""
        return self.record.config

    @property
    def flat_config(self) -> dict[str, Any]:
        """Its configuration, dicts in it flattened to names with slashes."""
        return flat(self.record.config)

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Its last report, with `training_iteration`, `time_total_s` and the like; empty if it made none."""
        return self.record.last_result

    @property
    def history(self) -> Sequence[Mapping[str, Any]]:
        """All its reports."""
        return self.record.history

    @property
    def metrics_dataframe(self) -> pandas.DataFrame:
        """All its reports as a pandas frame. Raises UsageError where pandas is not installed."""
        rows = [flat(report) for report in self.record.history]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        return Rows(columns, ([row.get(name) for name in columns] for row in rows)).to_frame()

    @property
    def error(self) -> TuneError | None:
        """Why it failed, if it did."""
        return TuneError(self.record.error) if self.record.state is TrialState.ERROR else None

    @property
    def path(self) -> str:
        """Its directory; it is there if something was written into it."""
        return self._plan.directory_of(self.record.trial_id)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Its newest checkpoint."""
        return None if self.record.checkpoint is None else self._plan.checkpoint_of(self.record.checkpoint)

    @property
    def best_checkpoints(self) -> list[tuple[Checkpoint, Mapping[str, Any]]]:
        """The checkpoints that were kept, each with the report it came with, oldest first."""
        return [(self._plan.checkpoint_of(path), report) for path, report in self.record.checkpoints]

    def get_best_checkpoint(self, metric: str, mode: str) -> Checkpoint | None:
        """The kept checkpoint whose report is best; None if there is none. Raises UsageError for a metric that none has."""
        check_mode(mode, "get_best_checkpoint")
        if not self.record.checkpoints:
            return None
        values = [(figure(report, metric), path) for path, report in self.record.checkpoints]
        known = [(value, path) for value, path in values if value is not None and not math.isnan(value)]
        if not known:
            names = ", ".join(reported_names([self]))
            raise UsageError(f"no checkpoint of trial {self.trial_id} came with {metric!r}; reported were: {names}")
        return self._plan.checkpoint_of((min if mode == "min" else max)(known)[1])

    def mean(self, metric: str, last: int = 0) -> float:
        """The mean of its last so many reports, or of all; NaN where no report had a number."""
        values = [figure(report, metric) for report in self.record.history[-last:]]
        numbers = [value for value in values if value is not None and not math.isnan(value)]
        return sum(numbers) / len(numbers) if numbers else math.nan

    def row(self, metric: str | None = None, mode: str | None = None) -> dict[str, Any]:
        """Its last report, or the best one by a metric, and its configuration, as one flat row."""
        report = self.metrics
        if metric is not None:
            values = ((figure(each, metric), each) for each in self.history)
            scored = [(value, each) for value, each in values if value is not None and not math.isnan(value)]
            best = (min if mode == "min" else max)(scored, key=lambda pair: pair[0], default=(0.0, report))
            report = best[1]
        settings = flat(self.config, "config/")
        return {**own(report), "trial_id": self.trial_id, **settings, **flat(report), "logdir": self.path}

    def cells(self, metrics: Iterable[str], parameters: Iterable[str]) -> list[Any]:
        """Its row in a table of some metrics and parameters."""
        reported, given = flat(self.metrics), self.flat_config
        figures = [reported.get(name) for name in metrics]
        settings = ["None" if name in given and given[name] is None else given.get(name) for name in parameters]
        return [self.name, str(self.state), *figures, *settings, self.record.iteration, round(self.record.seconds, 3)]

    def __repr__(self) -> str:
        said = own(self.metrics)
        failed = f", error={self.record.error.strip().splitlines()[-1]!r}" if self.record.error.strip() and self.error else ""
        return f"Result({self.name}, {self.state}, metrics={said}, config={self.config}{failed}, path={self.path!r})"


def reported_names(results: Iterable[Result]) -> list[str]:
    """The names of what trials reported, without what is added to every report."""
    return sorted({name for result in results for report in result.history for name in report} - ADDED)
