"""Plans of experiments, as Tuner would make them, for tests of what stands below it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbray.tune.configs import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from nbray.tune.plan import Plan
from nbray.tune.schedulers.fifo import FIFOScheduler
from nbray.tune.schedulers.scheduler import TrialScheduler
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.spaces import grid_search


def grid(*values: Any) -> dict[str, Any]:
    """A trial for each of these values of `x`."""
    return {"x": grid_search(list(values))}


def make_plan(
    trainable: Any,
    directory: Path,
    space: Mapping[str, Any] | None = None,
    *,
    scheduler: TrialScheduler | None = None,
    failures: FailureConfig | None = None,
    checkpoints: CheckpointConfig | None = None,
    metric: str | None = "loss",
    verbose: int = 0,
    name: str = "",
    **tune: Any,
) -> Plan:
    """A plan whose experiment lives in `directory`, and bears its name."""
    return Plan(
        name=name or directory.name,
        path=str(directory),
        trainable=trainable,
        param_space=space or {},
        tune=TuneConfig(
            metric=metric, mode="min", search_alg=RandomSearch(), scheduler=scheduler or FIFOScheduler(), **tune
        ),
        run=RunConfig(
            name=name or directory.name,
            failure_config=failures or FailureConfig(),
            checkpoint_config=checkpoints or CheckpointConfig(),
            verbose=verbose,
        ),
        trainable_name=getattr(trainable, "__name__", "trial"),
    )
