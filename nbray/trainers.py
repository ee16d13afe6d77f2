"""Trainer: a function, and the search for its best configuration, in two calls."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NoReturn

from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.tune import loggers
from nbray.tune.arguments import check_kind, check_whole, unknown
from nbray.tune.callbacks import Callback
from nbray.tune.configs import CheckpointConfig, RunConfig, TuneConfig, check_name
from nbray.tune.registry import resolve
from nbray.tune.result import Result
from nbray.tune.result_grid import ResultGrid
from nbray.tune.schedulers.scheduler import TrialScheduler
from nbray.tune.search_space import SearchSpace
from nbray.tune.stoppers import stopper_of
from nbray.tune.trainables import checked_resources, with_resources
from nbray.tune.tuner import Tuner, settled

OURS = ("nbray", "ray")
"""What `report_to` calls the progress that is shown while trials run."""
_SPACE_KEYS = ("config", "metric", "mode", "num_samples", "search_alg")
_SPACE_EXAMPLE = '{"config": {"depth": tune.choice([None, 4, 8])}, "metric": "accuracy", "mode": "max", "num_samples": 8}'


class Trainer:
    """A training with constants `config`; with a `search_space`, the search for the best configuration.

    `search_space` is a dict: "config" has the space, "metric" and "mode" say what is good, "num_samples" how many configurations
    are tried, "search_alg" who suggests them (random search). `config` is merged under each of them. `scheduler` and `stop` end
    trials, whichever says so first. With `checkpoint_freq=10` checkpoints that a trial offers as a function, or as a class, are
    written every ten reports and at its end. `report_to` is "nbray" or "ray" for progress in the notebook or terminal, which the
    names of loggers ("csv", "json", "tensorboard", "mlflow", "wandb") and callbacks, or a list of them, have as well; None is
    silence.

    >>> from nbray import tune
    >>> from nbray.trainers import Trainer
    >>> trainer = Trainer(name="squares", config={"power": 2}, report_to=None, search_space={
    ...     "config": {"x": tune.grid_search([1, 2, 3])}, "metric": "score", "mode": "max"})
    >>> results = trainer.fit(lambda config: config["x"] ** config["power"], num_workers=2, local_dir=getfixture("tmp_path"))
    >>> results.best_config, results.best_score
    ({'power': 2, 'x': 3}, 9.0)
    """

    def __init__(
        self,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        search_space: Mapping[str, Any] | None = None,
        scheduler: TrialScheduler | None = None,
        stop: Any = None,
        checkpoint_freq: int = 0,
        report_to: Any = "nbray",
    ) -> None:
        check_name(name)
        self.name = name
        self._config = _constants(config)
        self._space, self._tune = _search(search_space, scheduler)
        check_whole("checkpoint_freq", checkpoint_freq, 0)
        self._checkpoint_freq = checkpoint_freq
        self._stop = stopper_of(stop)
        self._callbacks = callbacks_of(report_to)
        self._verbose = 0 if report_to is None else 1
        settled(self._tune, {**self._config, **(self._space or {})})  # contradictions are told here rather than by `fit`

    def fit(
        self,
        train_task: Any,
        resources: Mapping[str, float] | None = None,
        num_workers: int = 1,
        local_dir: str | os.PathLike[str] | None = None,
    ) -> ResultGrid | Result:
        """Run it: a ResultGrid of all trials, best first, or one Result where there is no search space.

        `train_task` is a function of (config) or (config, reporter), or the name under which one is registered; it returns a
        number, which is the metric, or a dict, yields them, or reports them. Each trial reserves `resources`, {"CPU": 1} if
        they are not given; `num_workers` trials run at the same time, or as many as fit. `local_dir` gets the results, in a
        directory with the trainer's name. Raises what `tune.Tuner` raises.
        """
        check_whole("num_workers", num_workers, 1)
        if self._space is None and num_workers > 1:
            raise NotSupportedHere(
                f"num_workers={num_workers} without a search_space: one training over several workers is not there yet. Leave "
                f"num_workers out, or give Trainer a search space: search_space={_SPACE_EXAMPLE}"
            )
        task = resolve(train_task)
        if resources is not None:
            task = with_resources(task, checked_resources(resources))
        tuner = Tuner(
            task,
            param_space={**self._config, **(self._space or {})} or None,
            tune_config=replace(self._tune, max_concurrent_trials=num_workers),
            run_config=RunConfig(
                name=self.name,
                storage_path=local_dir,
                stop=self._stop,
                callbacks=self._callbacks,
                verbose=self._verbose,
                checkpoint_config=CheckpointConfig(checkpoint_frequency=self._checkpoint_freq),
            ),
        )
        results = tuner.fit()
        return results if self._space is not None else results[0]

    def __repr__(self) -> str:
        about = "a search" if self._space is not None else "one training"
        return f"Trainer({self.name!r}, {about})"


def callbacks_of(report_to: Any) -> list[Callback]:
    """The callbacks that `report_to` names. Raises WrongType, UsageError."""
    if report_to is None:
        return []
    given = report_to if isinstance(report_to, (list, tuple)) else [report_to]
    return [_callback(each) for each in given if each not in OURS]


def _callback(given: Any) -> Callback:
    if isinstance(given, str):
        if given not in loggers.BY_NAME:
            unknown(given, [*OURS, *loggers.BY_NAME], "report_to has")
        made: Callback = getattr(loggers, loggers.BY_NAME[given])()
        return made
    check_kind("report_to", given, Callback, '"csv"')
    return given  # type: ignore[no-any-return]


def _constants(config: Any) -> dict[str, Any]:
    if config is None:
        return {}
    if not isinstance(config, Mapping):
        raise WrongType(f'config={config!r}: expected a dict of constants, for example config={{"seed": 0}}')
    if not SearchSpace(config, "config").is_constant:
        raise UsageError(
            f"config={config!r} holds something to choose from, and config is for constants: put that into "
            'search_space={"config": {...}, ...}'
        )
    return dict(config)


def _search(space: Any, scheduler: Any) -> tuple[dict[str, Any] | None, TuneConfig]:
    """The space, None where nothing is searched, and how it is searched."""
    if space is None:
        return None, TuneConfig(scheduler=scheduler)
    if not isinstance(space, Mapping):
        raise WrongType(f"search_space={space!r}: expected a dict such as {_SPACE_EXAMPLE}")
    for key in space:
        if key not in _SPACE_KEYS:
            _refuse_key(key, space)
    if not isinstance(space.get("config"), Mapping) or not space["config"]:
        found = space.get("config")
        raise UsageError(f'search_space["config"] is {found!r}: expected what to choose from, as in {_SPACE_EXAMPLE}')
    options = {key: value for key, value in space.items() if key != "config"}
    return dict(space["config"]), TuneConfig(scheduler=scheduler, **options)


def _refuse_key(key: Any, space: Mapping[Any, Any]) -> NoReturn:
    if "config" not in space:
        raise UsageError(
            f'search_space has the key {key!r}, and no "config": what is chosen from belongs into one: '
            f"search_space={_SPACE_EXAMPLE}"
        )
    unknown(key, _SPACE_KEYS, "search_space has the key")
