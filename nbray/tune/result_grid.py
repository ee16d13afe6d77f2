"""What came of an experiment: the ResultGrid of all its trials, with the best of them."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbray.errors import TuneError, UsageError
from nbray.tables import Rows
from nbray.tune.objectives import check_mode
from nbray.tune.plan import Plan
from nbray.tune.result import Result, reported_names
from nbray.tune.scores import DEFAULT_METRIC
from nbray.tune.trial import TrialState
from nbray.tune.view import View
from nbray.wording import plain_html

if TYPE_CHECKING:
    import pandas

SCOPES = ("last", "all", "avg", "last-5-avg", "last-10-avg")


class ResultGrid:
    """The results of an experiment's trials, in the order in which they began; it shows as a table, best first.

    >>> from nbray import tune
    >>> grid = tune.Tuner(lambda config: {"loss": config["x"] ** 2}, param_space={"x": tune.grid_search([2, -1])},
    ...                   tune_config=tune.TuneConfig(metric="loss", mode="min"), run_config=tune.RunConfig(verbose=0)).fit()
    >>> len(grid), grid[0].metrics["loss"], grid.best_config
    (2, 4, {'x': -1})
    """

    def __init__(self, view: View, plan: Plan) -> None:
        self.view = view
        """All that is known of the experiment."""
        self.plan = plan
        self._results = [Result(trial, plan) for trial in view.trials.values()]

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index: int) -> Result:
        return self._results[index]

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    @property
    def experiment_path(self) -> str:
        """The experiment's directory: its journal, results.csv, and the directories of trials that wrote something."""
        return self.plan.path

    @property
    def errors(self) -> list[Exception]:
        """Why trials failed, one error for each of them."""
        return [result.error for result in self._results if result.error is not None]

    @property
    def num_errors(self) -> int:
        """How many trials failed."""
        return len(self.errors)

    @property
    def num_terminated(self) -> int:
        """How many trials ended without an error."""
        return sum(result.state is TrialState.TERMINATED for result in self._results)

    @property
    def why(self) -> str:
        """Why the experiment is over; empty while it is not."""
        closed = self.view.closed
        return "" if closed is None else closed.text or closed.why.value

    @property
    def best_config(self) -> dict[str, Any]:
        """The configuration of the best trial; raises what `get_best_result` raises."""
        return self.get_best_result().config

    @property
    def best_score(self) -> float:
        """The best trial's metric, as last reported; raises what `get_best_result` raises."""
        return self._value(self.get_best_result(), *self._objective(None, None), "last")

    def get_best_result(
        self, metric: str | None = None, mode: str | None = None, scope: str = "last", filter_nan_and_inf: bool = True
    ) -> Result:
        """The result of the best trial, by the experiment's metric and mode where others are not given.

        `scope` says which of a trial's reports count: the "last", the best of "all", their "avg", or that of the last five or ten
        ("last-5-avg", "last-10-avg"). NaN and infinities never win unless `filter_nan_and_inf=False`, and then only over nothing.
        Raises UsageError for a metric that no trial reported, TuneError where every trial failed.
        """
        metric, mode = self._objective(metric, mode)
        if scope not in SCOPES:
            raise UsageError(f"scope={scope!r}: expected {', '.join(repr(each) for each in SCOPES)}")
        values = [(self._value(result, metric, mode, scope), result) for result in self._results]
        sign = 1 if mode == "min" else -1
        fine = [(sign * value, result) for value, result in values if math.isfinite(value)]
        if not fine and not filter_nan_and_inf:
            fine = [(0.0, result) for value, result in values if metric in result.metrics]
        if not fine:
            self._nothing_is_best(metric)
        return min(fine, key=lambda pair: pair[0])[1]

    def get_dataframe(self, filter_metric: str | None = None, filter_mode: str | None = None) -> pandas.DataFrame:
        """A row for each trial: its last report, or the one that is best by `filter_metric` and `filter_mode`; its
        configuration in columns named config/...; its directory. Raises UsageError where pandas is not installed."""
        if (filter_metric is None) != (filter_mode is None):
            raise UsageError("get_dataframe takes filter_metric and filter_mode together, or neither")
        check_mode(filter_mode, "get_dataframe")
        rows = [result.row(filter_metric, filter_mode) for result in self._results]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        return Rows(columns, ([row.get(name) for name in columns] for row in rows)).to_frame()

    def to_rows(self) -> Rows:
        """The trials as a table, best first."""
        metric = self._metric()
        parameters = list(dict.fromkeys(name for result in self._results for name in result.flat_config))
        figures = [metric] if metric else []
        taken = {"trial", "state", "reports", "seconds", *figures}
        headings = [f"config/{name}" if name in taken else name for name in parameters]
        ranked = (Result(record, self.plan) for record in self.view.ranked(metric, self.view.mode))
        return Rows(
            ["trial", "state", *figures, *headings, "reports", "seconds"],
            [result.cells(figures, parameters) for result in ranked],
        )

    def _metric(self) -> str | None:
        """The experiment's, or what stands for it where trials returned plain numbers."""
        if self.view.metric is not None:
            return self.view.metric
        return DEFAULT_METRIC if any(DEFAULT_METRIC in result.metrics for result in self._results) else None

    def _objective(self, metric: str | None, mode: str | None) -> tuple[str, str]:
        check_mode(mode, "get_best_result")
        metric, mode = metric or self._metric(), mode or self.view.mode
        if metric is None or mode is None:
            reported = ", ".join(reported_names(self._results)) or "nothing"
            missing = "metric" if metric is None else "mode"
            raise UsageError(
                f'which trial is best? The experiment has no {missing}: write get_best_result(metric=..., mode="min" or "max"), '
                f"or give both to TuneConfig. Reported were: {reported}"
            )
        return metric, mode

    def _value(self, result: Result, metric: str, mode: str, scope: str) -> float:
        """NaN where there is none."""
        if scope in ("last", "all"):
            value = result.record.value(metric, mode, scope)
            return math.nan if value is None else value
        return result.mean(metric, {"avg": 0, "last-5-avg": 5, "last-10-avg": 10}[scope])

    def _nothing_is_best(self, metric: str) -> None:
        reported = reported_names(self._results)
        if not self._results:
            raise UsageError(f"no trial of {self.plan.name!r} has begun, so none is best")
        if metric in reported:
            raise UsageError(
                f"every trial of {self.plan.name!r} reported NaN, an infinity or no number as {metric!r}: none is best. "
                f"Look at results[0].history, or write get_best_result(metric=...); reported were: {', '.join(reported)}"
            )
        if self.num_errors == len(self):
            raise TuneError(f"all {len(self)} trials of {self.plan.name!r} failed; the first one of this:\n{self.errors[0]}")
        names = ", ".join(reported) or "nothing"
        raise UsageError(f'no trial of {self.plan.name!r} reported {metric!r}; reported were: {names}. Write metric= one of them')

    def _head(self) -> list[str]:
        failed = f", {self.num_errors} failed" if self.num_errors else ""
        lines = [f"{self.plan.name}: {len(self)} trials{failed}. {self.why}".rstrip(), *self._first_failure()]
        try:
            best = self.get_best_result()
        except (UsageError, TuneError):
            return [*lines, f"in {self.experiment_path}"]
        metric, mode = self._objective(None, None)
        lines.append(f"best {metric} ({mode}): {self._value(best, metric, mode, 'last'):.6g} with {best.config}")
        return [*lines, f"in {best.path if Path(best.path).exists() else self.experiment_path}"]

    def _first_failure(self) -> list[str]:
        first = next((result for result in self._results if result.error is not None), None)
        if first is None:
            return []
        last_line = first.record.error.strip().rpartition("\n")[2]
        return [f"{first.name} failed: {last_line} (print(results.errors[0]) shows the whole traceback)"]

    def __repr__(self) -> str:
        return "\n".join([*self._head(), repr(self.to_rows())])

    def _repr_html_(self) -> str:
        head = "".join(f"<div>{html.escape(line)}</div>" for line in self._head())
        return plain_html(head + self.to_rows()._repr_html_())
