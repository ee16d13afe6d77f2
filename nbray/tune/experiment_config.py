"""What the loop of an experiment is told: who suggests, who decides, how much is tried, and what becomes of failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nbray.tune.retention import Retention

if TYPE_CHECKING:
    from nbray.tune.plan import Plan
    from nbray.tune.schedulers.scheduler import TrialScheduler
    from nbray.tune.search.searcher import Searcher
    from nbray.tune.stoppers import Stopper


@dataclass(slots=True)
class ExperimentConfig:
    """Everything that an experiment's decisions depend on, besides the events."""

    searcher: Searcher
    scheduler: TrialScheduler
    stopper: Stopper | None = None
    space: Mapping[str, Any] = field(default_factory=dict)
    metric: str | None = None
    mode: str | None = None
    num_samples: int = 1
    """How many trials a searcher is asked for that does not know how many there are; -1: without end."""
    seed: int = 0
    time_budget_s: float | None = None
    max_concurrent: int | None = None
    max_failures: int = 0
    """How often a trial may fail and run again; -1: without end."""
    fail_fast: bool = False
    """Whether the first trial that failed for good ends the experiment."""
    stop_on_nan: bool = False
    keep: Retention = field(default_factory=Retention)

    @classmethod
    def of(cls, plan: Plan) -> ExperimentConfig:
        """The part of a plan that the loop needs."""
        tune, run = plan.tune, plan.run
        if tune.search_alg is None or tune.scheduler is None:
            raise TypeError("a plan has its searcher and its scheduler filled in")
        checkpoints = run.checkpoint_config
        return cls(
            searcher=tune.search_alg,
            scheduler=tune.scheduler,
            stopper=run.stop,
            space=plan.param_space,
            metric=tune.metric,
            mode=tune.mode,
            num_samples=tune.num_samples,
            seed=tune.seed,
            time_budget_s=tune.budget,
            max_concurrent=tune.max_concurrent_trials,
            max_failures=run.failure_config.max_failures,
            fail_fast=bool(run.failure_config.fail_fast),
            stop_on_nan=tune.stop_on_nan,
            keep=Retention(
                checkpoints.num_to_keep, checkpoints.checkpoint_score_attribute, checkpoints.checkpoint_score_order
            ),
        )
