"""Tune: tries many configurations of a function, drops the poor ones early, and tells the best.

    >>> from nbray import tune
    >>> def valley(config):
    ...     return {"loss": (config["x"] - 3) ** 2}
    >>> grid = tune.Tuner(valley, param_space={"x": tune.grid_search([1, 2, 3])},
    ...                   tune_config=tune.TuneConfig(metric="loss", mode="min"), run_config=tune.RunConfig(verbose=0)).fit()
    >>> grid.get_best_result().config
    {'x': 3}

From the top down:

    tuner, run               Tuner(...).fit(), tune.run(...)
    terminal, result_grid    progress without a notebook; what came of it
    tune_run, controller     an experiment that goes on; the actor that leads it
    runner, reporting        where a trial runs; report, get_checkpoint, get_context
    experiment, view         PURE: the loop; what is known of it
    schedulers/, search/, stoppers, spaces
    plan, configs, trial, events

Importing it imports none of this: a name is looked up when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbray.tune.callbacks import Callback
    from nbray.tune.configs import CheckpointConfig, FailureConfig, ResumeConfig, RunConfig, TuneConfig
    from nbray.tune.result_grid import Result, ResultGrid
    from nbray.tune.tuner import Tuner

_HOMES = {
    "tune.callbacks": ("Callback",),
    "tune.configs": ("CheckpointConfig", "FailureConfig", "ResumeConfig", "RunConfig", "TuneConfig"),
    "tune.registry": ("register_env", "register_trainable"),
    "tune.reporting": ("get_checkpoint", "get_context", "report"),
    "tune.result_grid": ("Result", "ResultGrid"),
    "tune.run": ("ExperimentAnalysis", "run"),
    "tune.spaces": (
        "choice", "grid_search", "lograndint", "loguniform", "qlograndint", "qloguniform", "qrandint", "qrandn", "quniform", "randint",
        "randn", "sample_from", "uniform",
    ),
    "tune.stoppers": ("Stopper",),
    "tune.trainables": ("Trainable", "with_parameters", "with_resources"),
    "tune.tune_run": ("TuneRun", "attach"),
    "tune.tuner": ("Tuner",),
    "checkpoints": ("Checkpoint",),
    "errors": ("TuneError",),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}
_MODULES = ("callbacks", "loggers", "registry", "schedulers", "search", "simulator", "stoppers")

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    """Import what is asked for at its first use."""
    if name in _MODULES:
        return import_module(f"nbray.tune.{name}")
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'nbray.tune' has no attribute {name!r}")
    value = getattr(import_module(f"nbray.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
