"""Tune: tries many configurations of a function, drops the poor ones early, and tells the best.

    >>> from nbray import tune
    >>> def valley(config):
    ...     return {"loss": (config["x"] - 3) ** 2}
    >>> grid = tune.Tuner(valley, param_space={"x": tune.grid_search([1, 2, 3])},
    ...                   tune_config=tune.TuneConfig(metric="loss", mode="min"), run_config=tune.RunConfig(verbose=0)).fit()
    >>> grid.get_best_result().config
    {'x': 3}

From the top down:

    tuner, one_call          Tuner(...).fit(), tune.run(...)
    terminal, result_grid    progress without a notebook; what came of it
    tune_run, controller     an experiment that goes on; the actor that leads it
    runner, reporting        where a trial runs; report, get_checkpoint, get_context
    experiment, view         PURE: the loop; what is known of it
    schedulers/, search/, stoppers, spaces
    plan, configs, trial, events

Importing it imports none of this: a name is looked up when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbray.lazy_names import lazy_names

if TYPE_CHECKING:
    from nbray.checkpoints import Checkpoint
    from nbray.errors import TuneError
    from nbray.tune.callbacks import Callback
    from nbray.tune.configs import CheckpointConfig, FailureConfig, ResumeConfig, RunConfig, TuneConfig
    from nbray.tune.experiment_analysis import ExperimentAnalysis
    from nbray.tune.launch import attach
    from nbray.tune.one_call import run
    from nbray.tune.registry import make_env, register_env, register_trainable
    from nbray.tune.reporting import TuneContext, get_checkpoint, get_context, report
    from nbray.tune.result import Result
    from nbray.tune.result_grid import ResultGrid
    from nbray.tune.simulator import Curve, Simulated, simulate
    from nbray.tune.spaces import (
        choice,
        grid_search,
        lograndint,
        loguniform,
        qlograndint,
        qloguniform,
        qrandint,
        qrandn,
        quniform,
        randint,
        randn,
        sample_from,
        uniform,
    )
    from nbray.tune.stoppers import Stopper
    from nbray.tune.trainables import Trainable, with_parameters, with_resources
    from nbray.tune.tune_run import TuneRun
    from nbray.tune.tuner import Tuner

__all__ = [
    "Tuner", "run", "TuneConfig", "RunConfig", "FailureConfig", "CheckpointConfig", "ResumeConfig",
    "report", "get_checkpoint", "get_context", "TuneContext", "Checkpoint", "Trainable", "with_parameters", "with_resources",
    "choice", "uniform", "quniform", "loguniform", "qloguniform", "randint", "qrandint", "lograndint", "qlograndint", "randn",
    "qrandn", "grid_search", "sample_from",
    "ResultGrid", "Result", "ExperimentAnalysis", "TuneRun", "attach", "TuneError",
    "Callback", "Stopper", "register_trainable", "register_env", "make_env", "simulate", "Simulated", "Curve",
]  # fmt: skip

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "nbray.checkpoints": ["Checkpoint"],
        "nbray.errors": ["TuneError"],
        "nbray.tune.callbacks": ["Callback"],
        "nbray.tune.configs": ["CheckpointConfig", "FailureConfig", "ResumeConfig", "RunConfig", "TuneConfig"],
        "nbray.tune.experiment_analysis": ["ExperimentAnalysis"],
        "nbray.tune.one_call": ["run"],
        "nbray.tune.registry": ["make_env", "register_env", "register_trainable"],
        "nbray.tune.reporting": ["TuneContext", "get_checkpoint", "get_context", "report"],
        "nbray.tune.result": ["Result"],
        "nbray.tune.result_grid": ["ResultGrid"],
        "nbray.tune.simulator": ["Curve", "Simulated", "simulate"],
        "nbray.tune.spaces": [
            "choice", "grid_search", "lograndint", "loguniform", "qlograndint", "qloguniform", "qrandint", "qrandn",
            "quniform", "randint", "randn", "sample_from", "uniform",
        ],
        "nbray.tune.stoppers": ["Stopper"],
        "nbray.tune.trainables": ["Trainable", "with_parameters", "with_resources"],
        "nbray.tune.launch": ["attach"],
        "nbray.tune.tune_run": ["TuneRun"],
        "nbray.tune.tuner": ["Tuner"],
    },
    ["logger", "loggers", "registry", "schedulers", "search", "simulator", "stopper", "stoppers"],
)  # fmt: skip
