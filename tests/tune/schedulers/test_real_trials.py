"""Schedulers that pause trials, with trials that are real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import tune
from nbray.tune.schedulers import ASHAScheduler, HyperBandScheduler, MedianStoppingRule, PopulationBasedTraining, TrialScheduler
from tests.fakes import fresh_session


@pytest.fixture(scope="module", params=["serial", pytest.param("local", marks=pytest.mark.local)], autouse=True)
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fresh_session():
        nbray.init(request.param, num_workers=2)
        yield request.param


def steps(config: dict[str, Any]) -> None:
    """Twelve steps, each of which is counted in the checkpoint and in a file beside it."""
    checkpoint = tune.get_checkpoint()
    done = checkpoint.to_dict()["done"] if checkpoint else 0
    while done < 12:
        done += 1
        with Path(config["counts"]).open("a") as counts:
            counts.write(f"{config['x']} {done}\n")
        tune.report({"score": config["x"] * done}, checkpoint=lambda done=done: {"done": done})


@pytest.mark.parametrize(
    ("scheduler", "longest"),
    [
        (ASHAScheduler(max_t=4, reduction_factor=2, type="promote"), 4),
        (HyperBandScheduler(max_t=12, reduction_factor=2), 12),
        (MedianStoppingRule(time_attr="training_iteration", grace_period=2, min_samples_required=1, hard_stop=False), 12),
    ],
    ids=["promote", "hyperband", "median"],
)
def test_a_trial_that_pauses_repeats_no_step(scheduler: TrialScheduler, longest: int, tmp_path: Path) -> None:
    space = {"x": tune.grid_search([3, 1, 4, 2, 6, 5]), "counts": str(tmp_path / "counts")}
    grid = tune.Tuner(
        steps,
        param_space=space,
        tune_config=tune.TuneConfig(metric="score", mode="max", scheduler=scheduler),
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0),
    ).fit()
    made = (tmp_path / "counts").read_text().splitlines()
    assert len(made) == len(set(made))
    assert len(made) == sum(result.metrics["training_iteration"] for result in grid)
    best = grid.get_best_result()
    assert (best.config["x"], best.metrics["score"]) == (6, 6 * longest)


def climb(config: dict[str, Any]) -> None:
    """The toy of the paper: two parameters, and each of the two hyperparameters lets one of them be learnt."""
    checkpoint = tune.get_checkpoint()
    state: dict[str, Any] = checkpoint.to_dict() if checkpoint else {"theta": [0.9, 0.9], "step": 0}
    while state["step"] < 60:
        theta = [value - 0.1 * h * value for value, h in zip(state["theta"], (config["h0"], config["h1"]), strict=True)]
        state = {"theta": theta, "step": state["step"] + 1}
        tune.report({"q": 1.2 - theta[0] ** 2 - theta[1] ** 2}, checkpoint=lambda state=state: state)


def test_a_population_gets_where_none_of_its_members_would(tmp_path: Path) -> None:
    """Jaderberg et al., figure 2: alone, each of the two ends at 1.2 - 0.81."""
    together = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=4,
        quantile_fraction=0.5,
        hyperparam_mutations={"h0": tune.uniform(0, 1), "h1": tune.uniform(0, 1)},
        synch=True,
    )
    best = {}
    for name, scheduler in (("alone", None), ("together", together)):
        grid = tune.Tuner(
            climb,
            param_space={"h0": tune.grid_search([0.0, 1.0]), "h1": tune.sample_from(lambda config: 1.0 - config["h0"])},
            tune_config=tune.TuneConfig(metric="q", mode="max", scheduler=scheduler, seed=2),
            run_config=tune.RunConfig(name=name, storage_path=tmp_path, verbose=0),
        ).fit()
        assert not grid.errors
        best[name] = grid.get_best_result().metrics["q"]
    assert best["alone"] == pytest.approx(1.2 - 0.81, abs=0.01)
    assert best["together"] > 1.1
