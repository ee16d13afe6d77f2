"""Tuner: what makes an experiment of a function and its space, starts it, and brings one back from the disk."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbray.errors import UsageError, WrongType
from nbray.tune import directories, launch, plan_file, registry
from nbray.tune.arguments import check_kind
from nbray.tune.callbacks import Callback, check_callbacks
from nbray.tune.configs import ResumeConfig, RunConfig, TuneConfig
from nbray.tune.course import JOURNAL
from nbray.tune.dispatch import in_driver
from nbray.tune.journal import read_view
from nbray.tune.objectives import Objective, agree
from nbray.tune.plan import Plan
from nbray.tune.restoring import fingerprint_of, with_space, with_trainable
from nbray.tune.result_grid import ResultGrid
from nbray.tune.schedulers.fifo import FIFOScheduler
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.search_space import check_shippable
from nbray.tune.trainables import name_of
from nbray.tune.tune_run import TuneRun


class Tuner:
    """An experiment to be: a function, or a class, and the space from which its configurations are taken.

    The function gets a configuration, a dict, and returns a number or a dict of metrics, yields them, or reports them with
    `tune.report`. Without `param_space` it runs once, with an empty dict. Wrong arguments raise UsageError here and not later.

    >>> from nbray import tune
    >>> def valley(config):
    ...     return {"loss": (config["x"] - 3) ** 2}
    >>> tuner = tune.Tuner(valley, param_space={"x": tune.grid_search([1, 2, 3])},
    ...                    tune_config=tune.TuneConfig(metric="loss", mode="min"), run_config=tune.RunConfig(verbose=0))
    >>> tuner.fit().get_best_result().config
    {'x': 3}
    """

    def __init__(
        self,
        trainable: Any,
        *,
        param_space: Mapping[str, Any] | None = None,
        tune_config: TuneConfig | None = None,
        run_config: RunConfig | None = None,
    ) -> None:
        self._name = trainable if isinstance(trainable, str) else ""
        self._trainable = registry.resolve(trainable)
        self._space = _checked_space(param_space)
        self._tune = TuneConfig() if tune_config is None else tune_config
        self._run = RunConfig() if run_config is None else run_config
        check_kind("tune_config", self._tune, TuneConfig, 'tune.TuneConfig(metric="loss", mode="min")')
        check_kind("run_config", self._run, RunConfig, 'tune.RunConfig(name="forest")')
        self._tune = settled(self._tune, self._space)
        self._kept: Plan | None = None
        self._resume: ResumeConfig | None = None
        self._results: ResultGrid | None = None

    def fit(self) -> ResultGrid:
        """Run the experiment to its end and return what came of it.

        Stop (KeyboardInterrupt) stops its trials; what they have reported is on the disk, and `Tuner.restore` goes on with it.
        Trials that fail are in the results, unless FailureConfig(fail_fast="raise") raises the first error, a TuneError. Raises
        InfeasibleRequest where a trial asks for more than the cluster has.
        """
        self._results = self._start(background=False).results()
        return self._results

    def start(self) -> TuneRun:
        """Start the experiment and return at once, with what follows and steers it; its `results()` waits for the end.

        Until then callbacks are called on a thread of their own.
        """
        return self._start(background=True)

    def _start(self, *, background: bool) -> TuneRun:
        plan = self._plan()
        given = plan.run.callbacks
        files = copy.deepcopy([each for each in given if each.in_controller])
        kept = replace(plan, run=replace(plan.run, callbacks=files))
        try:
            return launch.start(kept, self._resume, [in_driver(given, plan)], background=background)
        except BaseException:
            if self._kept is None:
                directories.give_back(plan.path)
            raise

    def get_results(self) -> ResultGrid:
        """What came of `fit()`, or, of a restored experiment, what is on the disk now. Raises UsageError before either."""
        if self._results is not None:
            return self._results
        if self._kept is None:
            raise UsageError("there are no results yet: call fit() first")
        return ResultGrid(read_view(Path(self._kept.path) / JOURNAL), self._kept)

    @classmethod
    def restore(
        cls,
        path: str | os.PathLike[str],
        trainable: Any,
        resume_unfinished: bool = True,
        resume_errored: bool = False,
        restart_errored: bool = False,
        param_space: Mapping[str, Any] | None = None,
        *,
        callbacks: Sequence[Callback] | None = None,
    ) -> Tuner:
        """The experiment in a directory; its `fit()` goes on where it was ended or killed, with the same decisions.

        Trials that had ended stay as they are, those that were running go on from their last checkpoint unless
        `resume_unfinished=False`, those that had failed stay failed unless `resume_errored` (they go on) or `restart_errored`
        (they begin anew). The directory may have been moved. `trainable` must be the function of that name; if its code is
        another one now, a warning says so. `param_space` takes the place of the old one and must have the same names; trials
        that are there keep their configurations. `callbacks` that do not write files are not kept: give them again.

        >>> from nbray import tune
        >>> def train(config):
        ...     return {"loss": config["x"]}
        >>> config = tune.RunConfig(storage_path=getfixture("tmp_path"), verbose=0)
        >>> grid = tune.Tuner(train, param_space={"x": 1}, run_config=config).fit()
        >>> tune.Tuner.restore(grid.experiment_path, train).fit()[0].metrics["loss"]
        1
        """
        place = directories.place_of(path)
        plan = with_trainable(plan_file.read(place), trainable)
        plan = with_space(plan, _checked_space(param_space)) if param_space is not None else plan
        plan = replace(plan, environments=registry.environments())
        more = [*plan.run.callbacks, *check_callbacks(() if callbacks is None else callbacks)]
        tuner = cls(plan.trainable, param_space=plan.param_space or None, tune_config=plan.tune, run_config=plan.run)
        tuner._kept = replace(plan, run=replace(plan.run, callbacks=more))
        tuner._resume = ResumeConfig(resume_unfinished, resume_errored, restart_errored)
        return tuner

    @classmethod
    def can_restore(cls, path: str | os.PathLike[str]) -> bool:
        """Whether there is an experiment in the directory."""
        try:
            plan_file.read(str(directories.place_of(path)))
        except UsageError:
            return False
        return True

    def _plan(self) -> Plan:
        if self._kept is not None:
            return self._kept
        check_shippable(self._space)
        trainable_name = self._name or name_of(self._trainable)
        name = self._run.name or f"{_as_directory(trainable_name)}_{time.strftime('%Y-%m-%d_%H-%M-%S')}"
        path = directories.claim(self._run.storage_path, name)
        return Plan(
            name=path.name,
            path=str(path),
            trainable=self._trainable,
            param_space=self._space,
            tune=replace(
                self._tune, search_alg=copy.deepcopy(self._tune.search_alg), scheduler=copy.deepcopy(self._tune.scheduler)
            ),
            run=replace(self._run, stop=copy.deepcopy(self._run.stop)),
            trainable_name=trainable_name,
            fingerprint=fingerprint_of(self._trainable),
            environments=registry.environments(),
        )

    def __repr__(self) -> str:
        where = f", {self._kept.path}" if self._kept is not None else ""
        return f"Tuner({self._name or name_of(self._trainable)}{where})"


def settled(config: TuneConfig, space: Mapping[str, Any]) -> TuneConfig:
    """The config with its searcher, scheduler, metric and mode filled in. Raises UsageError where they contradict each other,
    or the space is none."""
    searcher = config.search_alg if config.search_alg is not None else RandomSearch()
    scheduler = config.scheduler if config.scheduler is not None else FIFOScheduler()
    wanted = Objective(config.metric, config.mode)
    for part in (searcher, scheduler):
        wanted = agree(type(part).__name__, Objective(part.metric, part.mode), wanted)
    if wanted.metric is not None and wanted.mode is None:
        raise UsageError(
            f'metric={wanted.metric!r} without a mode: is less of it better, or more? Write mode="min" or "max" in TuneConfig'
        )
    # These see the space and each other now, while the user looks; the experiment gets others that have seen nothing.
    copy.deepcopy(searcher).set_search_properties(*wanted, space, config.num_samples, config.seed)
    copy.deepcopy(scheduler).set_search_properties(*wanted, config.seed)
    return replace(config, search_alg=searcher, scheduler=scheduler, metric=wanted.metric, mode=wanted.mode)


def _checked_space(space: Any) -> dict[str, Any]:
    if space is None:
        return {}
    if not isinstance(space, Mapping):
        raise WrongType(
            f'param_space={space!r}: expected a dict of names and what to try, for example {{"lr": tune.loguniform(1e-4, 1e-1)}}'
        )
    if not space:
        raise UsageError(
            'param_space={} is empty, so there is nothing to try: write {"lr": tune.loguniform(1e-4, 1e-1)}, or leave it out to '
            "run the function as it is"
        )
    return dict(space)


def _as_directory(name: str) -> str:
    return "".join(each if each.isalnum() or each in "-_." else "_" for each in name).strip("_.") or "experiment"
