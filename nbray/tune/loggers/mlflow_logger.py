"""MLflowLoggerCallback: each trial as a run of MLflow; the only file that imports mlflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nbray.errors import UsageError
from nbray.tune.callbacks import Callback
from nbray.tune.loggers.plain_values import flat, number
from nbray.tune.plan import Plan
from nbray.tune.trial import Trial


class MLflowLoggerCallback(Callback):
    """Makes a run of each trial, with its configuration as parameters and the numbers that it reports as metrics.

    It is called in your process, so `tracking_uri` may name a server that only you can reach; without one MLflow's own setting
    holds. `experiment_name` is the name of the Tune experiment where it is not given. With `save_artifact` a trial's directory is
    logged when it ends. When an experiment is restored, its trials get runs of their own.

    >>> from nbray import tune
    >>> def with_mlflow():
    ...     return tune.RunConfig(callbacks=[tune.loggers.MLflowLoggerCallback(experiment_name="digits")])
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        registry_uri: str | None = None,
        experiment_name: str | None = None,
        tags: Mapping[str, Any] | None = None,
        save_artifact: bool = False,
    ) -> None:
        _mlflow()
        self.tracking_uri = tracking_uri
        self.registry_uri = registry_uri
        self.experiment_name = experiment_name
        self.tags = dict(tags or {})
        self.save_artifact = save_artifact
        self._runs: dict[str, str] = {}

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        self._plan: Plan = info["plan"]
        self._client = _mlflow().MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.registry_uri)
        name = self.experiment_name or self._plan.name
        known = self._client.get_experiment_by_name(name)
        self._experiment_id = known.experiment_id if known is not None else self._client.create_experiment(name)

    def on_trial_start(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        if trial.trial_id in self._runs:
            return
        name = self._plan.name_of(trial)
        tags = {**self.tags, "trial_name": name}
        run = self._client.create_run(self._experiment_id, tags=tags, run_name=name)
        self._runs[trial.trial_id] = run.info.run_id
        for key, value in flat(trial.config).items():
            self._client.log_param(run.info.run_id, key, value)

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: Mapping[str, Any], **info: Any
    ) -> None:
        run_id = self._runs.get(trial.trial_id)
        for name, value in flat(result).items():
            if run_id is not None and (found := number(value)) is not None:
                self._client.log_metric(run_id, name, found, step=trial.iteration)

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, "FINISHED")

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, "FAILED")

    def on_experiment_end(self, trials: Sequence[Trial], **info: Any) -> None:
        for trial in trials:
            self._end(trial, "KILLED")

    def _end(self, trial: Trial, status: str) -> None:
        run_id = self._runs.pop(trial.trial_id, None)
        if run_id is None:
            return
        directory = Path(self._plan.directory_of(trial.trial_id))
        if self.save_artifact and directory.exists():
            self._client.log_artifacts(run_id, str(directory))
        self._client.set_terminated(run_id, status)


def _mlflow() -> Any:
    try:
        import mlflow
    except ImportError:
        raise UsageError("MLflowLoggerCallback needs mlflow, which is not installed: pip install mlflow-skinny") from None
    return mlflow
