"""A trial's result tells its last report, its curve, its checkpoints and its error."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from nbray.checkpoints import Checkpoint
from nbray.errors import TuneError, UsageError
from nbray.tune.result import Result, reported_names
from tests.tune.led_experiment import Led, plan


def result_of(path: Path, reports: list[dict[str, Any]], *, fails: bool = False, checkpoints: tuple[str, ...] = ()) -> Result:
    def run(config: dict[str, Any]) -> Any:
        yield from reports
        if fails:
            raise ValueError("no luck")

    led = Led(plan(path, [{"depth": 3}])).run(run, checkpoints)
    (record,) = led.view.trials.values()
    return Result(record, led.plan)


def test_it_has_the_last_report_and_all_of_them(tmp_path: Path) -> None:
    result = result_of(tmp_path, [{"loss": 2.0}, {"loss": 1.0}])
    assert (result.metrics["loss"], result.metrics["training_iteration"]) == (1.0, 2)
    assert [report["loss"] for report in result.history] == [2.0, 1.0]
    assert (result.trial_id, result.name, result.state) == ("00000", "train_00000", "TERMINATED")
    assert (result.config, result.flat_config) == ({"x": {"depth": 3}}, {"x/depth": 3})
    assert result.path == f"{tmp_path}/trial_00000"
    assert result.error is None
    assert result.checkpoint is None
    assert repr(result) == (
        "Result(train_00000, TERMINATED, metrics={'loss': 1.0}, config={'x': {'depth': 3}}, "
        f"path='{tmp_path}/trial_00000')"
    )


def test_a_failed_one_has_its_error(tmp_path: Path) -> None:
    result = result_of(tmp_path, [{"loss": 2.0}], fails=True)
    assert isinstance(result.error, TuneError)
    assert str(result.error) == "Traceback\nValueError: no luck"
    assert "error='ValueError: no luck'" in repr(result)


def test_the_best_checkpoint_is_that_of_the_best_report(tmp_path: Path) -> None:
    result = result_of(tmp_path, [{"loss": 2.0}, {"loss": 1.0}, {"loss": 3.0}], checkpoints=("/c1", "/c2", "/c3"))
    assert result.checkpoint is not None
    assert result.checkpoint.path == "/c3"
    assert [(checkpoint.path, report["loss"]) for checkpoint, report in result.best_checkpoints] == [
        ("/c1", 2.0), ("/c2", 1.0), ("/c3", 3.0)]  # fmt: skip
    best = result.get_best_checkpoint("loss", "min")
    assert best is not None
    assert best.path == "/c2"
    with_nan = result_of(tmp_path, [{"loss": math.nan}, {"loss": 4.0}], checkpoints=("/c1", "/c2"))
    assert with_nan.get_best_checkpoint("loss", "min") == with_nan.get_best_checkpoint("loss", "max") == Checkpoint("/c2")
    with pytest.raises(UsageError, match="no checkpoint of trial 00000 came with 'accuracy'; reported were: loss"):
        result.get_best_checkpoint("accuracy", "max")
    with pytest.raises(UsageError, match="get_best_checkpoint got mode='best'"):
        result.get_best_checkpoint("loss", "best")
    assert result_of(tmp_path, [{"loss": 2.0}]).get_best_checkpoint("loss", "min") is None


def test_means_leave_nan_out(tmp_path: Path) -> None:
    result = result_of(tmp_path, [{"loss": 5.0}, {"loss": math.nan}, {"loss": 1.0}, {"other": 1}])
    assert (result.mean("loss"), result.mean("loss", 2)) == (3.0, 1.0)
    assert math.isnan(result.mean("nothing"))


def test_rows_are_flat(tmp_path: Path) -> None:
    result = result_of(tmp_path, [{"loss": 1.0}, {"loss": 2.0, "by": {"x": 1}}])
    row = result.row()
    assert (row["loss"], row["by/x"], row["config/x/depth"], row["logdir"]) == (2.0, 1, 3, result.path)
    assert list(row)[:4] == ["loss", "by/x", "trial_id", "config/x/depth"], "what it is about comes first"
    assert result.row("loss", "min")["loss"] == 1.0
    assert result.row("nothing", "min")["loss"] == 2.0
    with_nan = result_of(tmp_path, [{"loss": math.nan}, {"loss": 2.0}, {"loss": 3.0}])
    assert (with_nan.row("loss", "min")["loss"], with_nan.row("loss", "max")["loss"]) == (2.0, 3.0)


def test_frames_have_a_row_for_each_report(tmp_path: Path) -> None:
    frame = result_of(tmp_path, [{"loss": 1.0}, {"loss": 2.0, "by": {"x": 1}}]).metrics_dataframe
    assert list(frame["loss"]) == [1.0, 2.0]
    assert frame["by/x"].isna().tolist() == [True, False]


def test_names_of_reports_leave_out_what_is_added(tmp_path: Path) -> None:
    assert reported_names([result_of(tmp_path, [{"loss": 1.0}, {"accuracy": 2}])]) == ["accuracy", "loss"]
