"""tune.run: an experiment in one call, and its results by the names that it has given them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from nbray.errors import TuneError, UsageError
from nbray.tune.arguments import refuse, unknown
from nbray.tune.callbacks import Callback
from nbray.tune.configs import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from nbray.tune.directories import place_of
from nbray.tune.experiment_analysis import ExperimentAnalysis
from nbray.tune.registry import resolve
from nbray.tune.schedulers.scheduler import TrialScheduler
from nbray.tune.search.searcher import Searcher
from nbray.tune.trainables import checked_resources, with_resources
from nbray.tune.tuner import Tuner

_NOT_HERE = {
    "chdir_to_trial_dir": "trials run in the directory of the notebook",
    "export_formats": "save what you want to keep as a checkpoint",
    "log_to_file": "what a trial prints appears in your cell, marked with its name",
    "progress_reporter": "progress is drawn by the notebook's card or as lines in a terminal: verbose=0 to 3 says how much",
    "restore": "give the checkpoint to the function by its config, or use Tuner.restore for a whole experiment",
    "resume_config": "use Tuner.restore(path, fn, resume_errored=..., restart_errored=...)",
    "storage_filesystem": "nbray writes to folders of this machine: give one as storage_path=",
    "sync_config": "nbray works on one machine and writes straight to storage_path=",
    "trial_dirname_creator": "a trial's directory is trial_<id>; give trials a name with trial_name_creator=",
}
"""Arguments of Ray's that have no effect here."""


def run(
    run_or_experiment: Any,
    *,
    name: str | None = None,
    metric: str | None = None,
    mode: str | None = None,
    stop: Any = None,
    time_budget_s: float | timedelta | None = None,
    config: Mapping[str, Any] | None = None,
    resources_per_trial: Mapping[str, float] | None = None,
    num_samples: int = 1,
    storage_path: str | os.PathLike[str] | None = None,
    local_dir: str | os.PathLike[str] | None = None,
    search_alg: Searcher | None = None,
    scheduler: TrialScheduler | None = None,
    checkpoint_config: CheckpointConfig | None = None,
    verbose: int | None = None,
    trial_name_creator: Any = None,
    max_failures: int = 0,
    fail_fast: bool | str = False,
    resume: bool | str = False,
    reuse_actors: bool = True,
    raise_on_failed_trial: bool = True,
    callbacks: Sequence[Callback] | None = None,
    max_concurrent_trials: int | None = None,
    keep_checkpoints_num: int | None = None,
    checkpoint_score_attr: str | None = None,
    checkpoint_freq: int = 0,
    checkpoint_at_end: bool | None = None,
    seed: int = 0,
    stop_on_nan: bool = False,
    **others: Any,
) -> ExperimentAnalysis:
    """Tune a function in one call; the arguments are those of TuneConfig, RunConfig and the others, `config` is the space.

    `resume=True` goes on with the experiment of that name. A trial that fails raises TuneError at the end
    unless `raise_on_failed_trial=False`. Raises what `Tuner` raises.

    >>> from nbray import tune
    >>> analysis = tune.run(lambda config: {"loss": config["x"] ** 2}, config={"x": tune.grid_search([2, -1])}, metric="loss",
    ...                     mode="min", verbose=0)
    >>> analysis.best_config
    {'x': -1}
    """
    _refuse_others(others)
    tune_config = TuneConfig(
        mode, metric, search_alg, scheduler, num_samples, max_concurrent_trials, time_budget_s, reuse_actors, trial_name_creator,
        seed=seed, stop_on_nan=stop_on_nan,
    )  # fmt: skip
    checkpoints = checkpoint_config or CheckpointConfig(
        keep_checkpoints_num, checkpoint_score_attr, "max", checkpoint_freq, checkpoint_at_end
    )
    run_config = RunConfig(
        name, storage_path, verbose=1 if verbose is None else verbose, stop=stop, callbacks=callbacks or (), local_dir=local_dir,
        failure_config=FailureConfig(max_failures, fail_fast), checkpoint_config=checkpoints,
    )  # fmt: skip
    tuner = _restored(run_or_experiment, run_config, resume)
    if tuner is None:
        task = resolve(run_or_experiment)
        if resources_per_trial is not None:
            task = with_resources(task, checked_resources(resources_per_trial))
        tuner = Tuner(task, param_space=config or None, tune_config=tune_config, run_config=run_config)
    analysis = ExperimentAnalysis.of(tuner.fit())
    if raise_on_failed_trial and analysis.errors:
        raise TuneError(f"{analysis.num_errors} of {len(analysis)} trials failed; the first one of this:\n{analysis.errors[0]}")
    return analysis


def _restored(trainable: Any, config: RunConfig, resume: bool | str) -> Tuner | None:
    """The experiment to go on with; None for a new one. Raises UsageError where one is wanted that is not there."""
    if resume not in (False, True, "AUTO", None):
        raise UsageError(f'resume={resume!r}: expected True, False or "AUTO", which is True where there is something to resume')
    if not resume:
        return None
    if config.name is None:
        raise UsageError(f"resume={resume!r} needs the experiment's name: write tune.run(..., name=..., resume={resume!r})")
    path = place_of(config.storage_path) / config.name
    if resume == "AUTO" and not Tuner.can_restore(path):
        return None
    return Tuner.restore(path, trainable, callbacks=[each for each in config.callbacks if not each.in_controller])


def _refuse_others(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in _NOT_HERE:
            unknown(name, [*inspect.signature(run).parameters][:-1], "tune.run has no argument")
        if value:
            refuse(name, value, _NOT_HERE[name])
