"""WandbLoggerCallback: each trial as a run of Weights & Biases; the only file that imports wandb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbray.errors import UsageError
from nbray.tune.callbacks import Callback
from nbray.tune.loggers.plain_values import flat, plain
from nbray.tune.plan import Plan
from nbray.tune.trial import Trial


class WandbLoggerCallback(Callback):
    """Makes a run of each trial, with its configuration, and logs what it reports.

    It is called in your process, where you have logged in to W&B. `project` is the name of the experiment where it is not given,
    and so is `group`; names in `excludes` are not logged; more arguments go to `wandb.init` as they are. When an experiment is
    restored, its trials get runs of their own.

    >>> from nbray import tune
    >>> def with_wandb():
    ...     return tune.RunConfig(callbacks=[tune.loggers.WandbLoggerCallback(project="digits")])
    """

    def __init__(
        self,
        project: str | None = None,
        group: str | None = None,
        excludes: Sequence[str] = (),
        log_config: bool = False,
        **init: Any,
    ) -> None:
        _wandb()
        self.project = project
        self.group = group
        self.excludes = frozenset(excludes)
        self.log_config = log_config
        self.init = init
        self._runs: dict[str, Any] = {}

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        self._plan: Plan = info["plan"]

    def on_trial_start(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        if trial.trial_id not in self._runs:
            self._runs[trial.trial_id] = _wandb().init(**{
                "project": self.project or self._plan.name,
                "group": self.group or self._plan.name,
                "name": self._plan.name_of(trial),
                "config": plain(trial.config),
                "reinit": "create_new",
                **self.init,
            })  # fmt: skip

    def on_trial_result(
        self, iteration: int, trials: Sequence[Trial], trial: Trial, result: Mapping[str, Any], **info: Any
    ) -> None:
        logged = flat({**result, "config": trial.config} if self.log_config else result)
        run = self._runs.get(trial.trial_id)
        if run is not None:
            run.log({name: value for name, value in logged.items() if name not in self.excludes}, step=trial.iteration)

    def on_trial_complete(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, 0)

    def on_trial_error(self, iteration: int, trials: Sequence[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, 1)

    def on_experiment_end(self, trials: Sequence[Trial], **info: Any) -> None:
        for trial in trials:
            self._end(trial, 1)

    def _end(self, trial: Trial, exit_code: int) -> None:
        run = self._runs.pop(trial.trial_id, None)
        if run is not None:
            run.finish(exit_code=exit_code)


def _wandb() -> Any:
    try:
        import wandb
    except ImportError:
        raise UsageError("WandbLoggerCallback needs wandb, which is not installed: pip install wandb") from None
    return wandb
