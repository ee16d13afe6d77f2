"""What tuning has to be on every backend: with processes of its own or without, the same trials come out the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import session, tune
from nbray.tune import schedulers
from tests.contract.conftest import REAL, started


@pytest.fixture(scope="module", params=["serial", *REAL])
def backend(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Every backend with real actors, in this process or in others."""
    yield from started(request.param)


pytestmark = pytest.mark.usefixtures("backend")


def quiet(tmp_path: Path, **config: Any) -> tune.RunConfig:
    return tune.RunConfig(name="e", storage_path=str(tmp_path), verbose=0, **config)


def best(mode: str = "min", **config: Any) -> tune.TuneConfig:
    return tune.TuneConfig(metric="loss", mode=mode, **config)


def valley(config: dict[str, Any]) -> None:
    at = tune.get_checkpoint()
    step = 0 if at is None else at.to_dict()["step"]
    while step < 9:
        step += 1
        tune.report({"loss": (config["x"] - 3) ** 2 / step}, checkpoint={"step": step})


def test_the_best_configuration_is_found(tmp_path: Path) -> None:
    space = {"x": tune.grid_search([1, 2, 3, 4])}
    results = tune.Tuner(valley, param_space=space, tune_config=best(), run_config=quiet(tmp_path)).fit()
    found = results.get_best_result()
    assert (len(results), results.num_errors, found.config, found.metrics["training_iteration"]) == (4, 0, {"x": 3}, 9)
    assert found.checkpoint is not None
    assert found.checkpoint.to_dict() == {"step": 9}


def test_random_configurations_are_the_same_everywhere(tmp_path: Path) -> None:
    space = {"x": tune.uniform(0, 1), "layers": tune.choice([1, 2, None])}
    tuner = tune.Tuner(
        lambda config: config["x"], param_space=space, tune_config=best(num_samples=3, seed=7), run_config=quiet(tmp_path)
    )
    results = tuner.fit()
    drawn = [(round(result.config["x"], 6), result.config["layers"]) for result in results]
    assert drawn == [(0.412282, 2), (0.452714, None), (0.022688, None)]


@pytest.mark.parametrize(("form", "longest"), [("stop", 9), ("promote", 3)])  # one in three goes on, and is alone there
def test_poor_trials_end_early(form: str, longest: int, tmp_path: Path) -> None:
    scheduler = schedulers.ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3, type=form)
    space = {"x": tune.grid_search([3, 30, 300, 3000])}
    config = best(scheduler=scheduler, max_concurrent_trials=1)
    results = tune.Tuner(valley, param_space=space, tune_config=config, run_config=quiet(tmp_path)).fit()
    assert [result.metrics["training_iteration"] for result in results] == [longest, 1, 1, 1]


def fails_first(config: dict[str, Any]) -> dict[str, float]:
    mark = Path(config["mark"])
    if not mark.exists():
        mark.touch()
        raise OSError("the first time")
    return {"loss": 1.0}


def test_a_trial_that_fails_may_try_again(tmp_path: Path) -> None:
    failures = tune.FailureConfig(max_failures=1)
    space = {"mark": str(tmp_path / "mark")}
    run = quiet(tmp_path, failure_config=failures)
    results = tune.Tuner(fails_first, param_space=space, tune_config=best(), run_config=run).fit()
    assert (len(results), results.num_errors) == (1, 0)


def test_trials_may_use_the_cluster(tmp_path: Path) -> None:
    def uses_tasks(config: dict[str, Any]) -> float:
        return float(sum(nbray.map(abs, range(config["x"]))))

    space = {"x": tune.grid_search([3, 4])}
    results = tune.Tuner(uses_tasks, param_space=space, tune_config=best("max"), run_config=quiet(tmp_path)).fit()
    assert [result.metrics["loss"] for result in results] == [3.0, 6.0]


def test_a_time_budget_ends_it(tmp_path: Path) -> None:
    def long(config: dict[str, Any]) -> None:
        while True:
            time.sleep(0.01)
            tune.report(loss=1)

    began = time.monotonic()
    config = best(time_budget_s=0.3, num_samples=-1)
    results = tune.Tuner(long, param_space={"x": tune.uniform(0, 1)}, tune_config=config, run_config=quiet(tmp_path)).fit()
    assert time.monotonic() - began < 10
    assert len(results) >= 1


def test_large_constants_are_shared(tmp_path: Path) -> None:
    def total(config: dict[str, Any], data: Any) -> float:
        return float(data.sum())

    import numpy as np

    trainable = tune.with_parameters(total, data=np.ones(300_000))
    space = {"x": tune.grid_search([1, 2])}
    results = tune.Tuner(trainable, param_space=space, tune_config=best(), run_config=quiet(tmp_path)).fit()
    assert [result.metrics["loss"] for result in results] == [300_000.0] * 2


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    tune.Tuner(lambda config: 1.0, tune_config=best(), run_config=quiet(tmp_path)).fit()
    living = [actor for actor in session.current_backend().snapshot().actors if actor.state in ("ALIVE", "PENDING")]
    assert [actor.class_name for actor in living if actor.class_name == "Controller"] == []
