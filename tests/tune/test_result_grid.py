"""The results of an experiment: which trial is best, in which sense, and what to type where none is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nbray.errors import TuneError, UsageError
from nbray.tune.result_grid import ResultGrid
from tests.tune.led_experiment import Led, plan

Reports = Mapping[Any, list[Any]]


def grid_of(path: Path, reports: Reports, **options: Any) -> ResultGrid:
    """One trial for each value of x, with these losses; an exception among them is raised."""

    def run(config: dict[str, Any]) -> Any:
        for loss in reports[config["x"]]:
            if isinstance(loss, Exception):
                raise loss
            yield loss if isinstance(loss, dict) else {"loss": loss}

    led = Led(plan(path, list(reports), **options)).run(run)
    return ResultGrid(led.view, led.plan)


CURVES: Reports = {"a": [1.0, 3.0], "b": [9.0, 2.0], "c": [math.nan, math.nan], "d": [-math.inf]}


def test_the_best_trial_by_each_scope(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, CURVES)
    best = {scope: grid.get_best_result(scope=scope).config["x"] for scope in ("last", "all", "avg", "last-5-avg", "last-10-avg")}
    assert best == {"last": "b", "all": "a", "avg": "a", "last-5-avg": "a", "last-10-avg": "a"}
    assert grid.get_best_result(mode="max").config["x"] == "a"
    assert (grid.best_config, grid.best_score) == ({"x": "b"}, 2.0)


def test_nan_and_infinities_never_win(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, {"c": [math.nan], "d": [-math.inf]})
    with pytest.raises(UsageError, match="every trial of 'forest' reported NaN, an infinity or no number as 'loss'"):
        grid.get_best_result()
    assert grid.get_best_result(filter_nan_and_inf=False).config["x"] == "c"


def test_a_metric_that_nobody_reported_names_those_that_were(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, {"a": [{"loss": 1.0, "accuracy": 0.5}]})
    with pytest.raises(UsageError, match="no trial of 'forest' reported 'acuracy'; reported were: accuracy, loss"):
        grid.get_best_result("acuracy", "max")


def test_without_a_metric_or_mode_one_is_asked_for(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, {"a": [{"loss": 1.0}]}, metric=None, mode=None)
    with pytest.raises(UsageError, match=r"The experiment has no metric: write get_best_result\(metric=.*Reported were: loss"):
        grid.get_best_result()
    with pytest.raises(UsageError, match="The experiment has no mode"):
        grid.get_best_result("loss")
    with pytest.raises(UsageError, match="get_best_result got mode='low'"):
        grid.get_best_result("loss", "low")
    with pytest.raises(UsageError, match="scope='first': expected 'last', 'all'"):
        grid.get_best_result("loss", "min", scope="first")
    assert grid.get_best_result("loss", "min").config["x"] == "a"


def test_a_plain_number_has_a_name_of_its_own(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, {"a": [{"_metric": 1.0}], "b": [{"_metric": 2.0}]}, metric=None, mode=None)
    assert grid.get_best_result(mode="max").config["x"] == "b"


def test_where_every_trial_failed_the_first_error_is_told(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, {"a": [ValueError("no luck")], "b": [ValueError("again")]})
    with pytest.raises(TuneError, match=r"(?s)all 2 trials of 'forest' failed; the first one of this:.*ValueError: no luck"):
        grid.get_best_result()
    assert (len(grid), grid.num_errors, grid.num_terminated) == (2, 2, 0)
    assert [str(error).splitlines()[-1] for error in grid.errors] == ["ValueError: no luck", "ValueError: again"]


def test_frames_have_a_row_for_each_trial(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, {"a": [1.0, 3.0], "b": [9.0, 2.0]})
    assert list(grid.get_dataframe()["loss"]) == [3.0, 2.0]
    frame = grid.get_dataframe("loss", "min")
    assert list(frame["loss"]) == [1.0, 2.0]
    assert list(frame["config/x"]) == ["a", "b"]
    assert list(frame["logdir"]) == [f"{tmp_path}/trial_00000", f"{tmp_path}/trial_00001"]
    with pytest.raises(UsageError, match="takes filter_metric and filter_mode together"):
        grid.get_dataframe("loss")
    with pytest.raises(UsageError, match="get_dataframe got mode='low'"):
        grid.get_dataframe("loss", "low")


def test_it_shows_the_best_and_a_table_best_first(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, {None: [3.0], "b": [2.0], "c": [ValueError("x")]})
    lines = repr(grid).splitlines()
    assert lines[0].startswith("forest: 3 trials, 1 failed.")
    assert lines[1] == "train_00002 failed: ValueError: x (print(results.errors[0]) shows the whole traceback)"
    assert lines[2:4] == ["best loss (min): 2 with {'x': 'b'}", f"in {tmp_path}"]
    assert lines[4].split() == ["trial", "state", "loss", "x", "reports", "seconds"]
    assert [line.split()[0] for line in lines[5:]] == ["train_00001", "train_00000", "train_00002"]
    assert lines[6].split()[:4] == ["train_00000", "TERMINATED", "3.000", "None"], "a parameter that is None is seen to be"
    (tmp_path / "trial_00001").mkdir()
    assert repr(grid).splitlines()[3] == f"in {tmp_path}/trial_00001"


def test_a_parameter_may_bear_the_name_of_the_metric(tmp_path: Path) -> None:
    """A trial without a report has no metric, whatever its parameters are called."""
    led = Led(plan(tmp_path, [5, 7], metric="x")).run(lambda config: [{"x": 1.5}] if config["x"] == 5 else [])
    first, second = ResultGrid(led.view, led.plan).to_rows()
    assert (first["x"], first["config/x"]) == (1.5, 5)
    assert (second["x"], second["config/x"]) == (None, 7)


def test_it_shows_as_html_with_foreign_text_escaped(tmp_path: Path) -> None:
    html = grid_of(tmp_path, {"<b>": [3.0]})._repr_html_()
    assert "<b>" not in html
    assert "&lt;b&gt;" in html
    assert "<table>" in html


def test_nothing_to_show_is_said(tmp_path: Path) -> None:
    led = Led(plan(tmp_path))
    grid = ResultGrid(led.view, led.plan)
    assert repr(grid).splitlines()[:2] == ["forest: 0 trials.", f"in {tmp_path}"]
    assert repr(grid).endswith("(no rows)")
    with pytest.raises(UsageError, match="no trial of 'forest' has begun"):
        grid.get_best_result()


def test_it_is_a_sequence_of_results(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, {"a": [1.0], "b": [2.0]})
    assert [result.config["x"] for result in grid] == ["a", "b"]
    assert grid[-1].config == {"x": "b"}
    assert grid.experiment_path == str(tmp_path)
    assert grid.why != ""
