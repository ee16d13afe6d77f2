"""The older names of results mean what the newer ones do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbray.tune.experiment_analysis import ExperimentAnalysis
from nbray.tune.result_grid import ResultGrid
from tests.tune.led_experiment import Led, plan


@pytest.fixture
def analysis(tmp_path: Path) -> ExperimentAnalysis:
    def run(config: dict[str, Any]) -> Any:
        return [{"loss": config["x"] + 1}, {"loss": config["x"]}]

    led = Led(plan(tmp_path, [2, 1])).run(run, ["/c1", "/c2", "/c3", "/c4"])
    return ExperimentAnalysis.of(ResultGrid(led.view, led.plan))


def test_the_best(analysis: ExperimentAnalysis) -> None:
    assert analysis.best_config == analysis.get_best_config("loss", "min") == {"x": 1}
    assert analysis.best_result["loss"] == analysis.best_trial.metrics["loss"] == 1
    assert analysis.get_best_trial("loss", "max").config == {"x": 2}
    assert list(analysis.best_dataframe["loss"]) == [2, 1]
    best, last = analysis.best_checkpoint, analysis.get_last_checkpoint()
    assert best is not None
    assert last is not None
    assert best.path == last.path == "/c4"
    highest = analysis.get_best_checkpoint(analysis.best_trial, "loss", "max")
    assert highest is not None
    assert highest.path == "/c3"


def test_all_of_them(analysis: ExperimentAnalysis) -> None:
    assert len(analysis.trials) == 2
    assert {trial: report["loss"] for trial, report in analysis.results.items()} == {"00000": 2, "00001": 1}
    assert analysis.get_all_configs() == {"00000": {"x": 2}, "00001": {"x": 1}}
    assert list(analysis.results_df.index) == ["00000", "00001"]
    assert list(analysis.dataframe("loss", "max")["loss"]) == [3, 2]
    assert list(analysis.trial_dataframes["00000"]["loss"]) == [3, 2]
    last = analysis.get_last_checkpoint(analysis.trials[0])
    assert last is not None
    assert last.path == "/c2"
