from __future__ import annotations

from pathlib import Path

import pytest

from nbray.tune.configs import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.plan import Plan
from nbray.tune.retention import Retention
from nbray.tune.schedulers import FIFOScheduler
from nbray.tune.search.random_search import RandomSearch


def test_each_wish_of_a_plan_arrives(tmp_path: Path) -> None:
    tune = TuneConfig(
        metric="loss", mode="min", search_alg=RandomSearch(), scheduler=FIFOScheduler(), num_samples=7, max_concurrent_trials=3,
        time_budget_s=60.0, seed=5, stop_on_nan=True,
    )  # fmt: skip
    run = RunConfig(
        failure_config=FailureConfig(max_failures=2),
        checkpoint_config=CheckpointConfig(num_to_keep=4, checkpoint_score_attribute="loss", checkpoint_score_order="min"),
    )
    config = ExperimentConfig.of(Plan("trees", str(tmp_path), len, {"x": 1}, tune, run))
    assert config == ExperimentConfig(
        searcher=config.searcher, scheduler=config.scheduler, stopper=run.stop, space={"x": 1}, metric="loss", mode="min",
        num_samples=7, seed=5, time_budget_s=60.0, max_concurrent=3, max_failures=2, fail_fast=False, stop_on_nan=True,
        keep=Retention(4, "loss", "min"),
    )  # fmt: skip
    assert (config.searcher, config.scheduler) == (tune.search_alg, tune.scheduler)


@pytest.mark.parametrize("given", [True, "raise"])
def test_both_forms_of_fail_fast_end_the_experiment(given: bool | str, tmp_path: Path) -> None:
    tune = TuneConfig(search_alg=RandomSearch(), scheduler=FIFOScheduler())
    run = RunConfig(failure_config=FailureConfig(fail_fast=given))
    assert ExperimentConfig.of(Plan("trees", str(tmp_path), len, {}, tune, run)).fail_fast is True


def test_a_plan_without_searcher_is_not_settled(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="filled in"):
        ExperimentConfig.of(Plan("trees", str(tmp_path), len, {}, TuneConfig(), RunConfig()))
