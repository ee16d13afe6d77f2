"""ExperimentAnalysis: the results of `tune.run`, by the names that Ray has given them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nbray.checkpoints import Checkpoint
from nbray.tune.result import Result
from nbray.tune.result_grid import ResultGrid

if TYPE_CHECKING:
    import pandas


class ExperimentAnalysis(ResultGrid):
    """A ResultGrid that also knows the older names: `best_result`, `best_trial`, `dataframe()` and so on.

    >>> from nbray import tune
    >>> analysis = tune.run(lambda config: {"loss": config["x"] ** 2}, config={"x": tune.grid_search([2, -1])}, metric="loss",
    ...                     mode="min", verbose=0)
    >>> analysis.best_config, analysis.best_result["loss"]
    ({'x': -1}, 1)
    """

    @classmethod
    def of(cls, grid: ResultGrid) -> ExperimentAnalysis:
        """The same results."""
        return cls(grid.view, grid.plan)

    @property
    def trials(self) -> list[Result]:
        """All trials."""
        return list(self)

    @property
    def best_trial(self) -> Result:
        """The best trial; raises what `get_best_result` raises."""
        return self.get_best_result()

    @property
    def best_result(self) -> Mapping[str, Any]:
        """Its last report."""
        return self.get_best_result().metrics

    @property
    def best_checkpoint(self) -> Checkpoint | None:
        """Its newest checkpoint."""
        return self.get_best_result().checkpoint

    @property
    def best_dataframe(self) -> pandas.DataFrame:
        """All its reports."""
        return self.get_best_result().metrics_dataframe

    @property
    def results(self) -> dict[str, Mapping[str, Any]]:
        """The last report of each trial, by its id."""
        return {result.trial_id: result.metrics for result in self}

    @property
    def results_df(self) -> pandas.DataFrame:
        """The same as a frame, with the configurations."""
        return self.get_dataframe().set_index("trial_id")

    @property
    def trial_dataframes(self) -> dict[str, pandas.DataFrame]:
        """All reports of each trial, by its id."""
        return {result.trial_id: result.metrics_dataframe for result in self}

    def dataframe(self, metric: str | None = None, mode: str | None = None) -> pandas.DataFrame:
        """A row for each trial: the report that is best by the metric, or the last one."""
        return self.get_dataframe(metric, mode)

    def get_all_configs(self) -> dict[str, dict[str, Any]]:
        """The configuration of each trial, by its id."""
        return {result.trial_id: result.config for result in self}

    def get_best_trial(self, metric: str | None = None, mode: str | None = None, scope: str = "last") -> Result:
        """The best trial."""
        return self.get_best_result(metric, mode, scope)

    def get_best_config(self, metric: str | None = None, mode: str | None = None, scope: str = "last") -> dict[str, Any]:
        """The configuration of the best trial."""
        return self.get_best_result(metric, mode, scope).config

    def get_best_checkpoint(self, trial: Result, metric: str, mode: str) -> Checkpoint | None:
        """The kept checkpoint of a trial whose report is best."""
        return trial.get_best_checkpoint(metric, mode)

    def get_last_checkpoint(self, trial: Result | None = None) -> Checkpoint | None:
        """The newest checkpoint of a trial, by default of the best one."""
        return (trial if trial is not None else self.get_best_result()).checkpoint
