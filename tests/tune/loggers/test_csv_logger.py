"""Each trial's reports are a table, whose columns may become more."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from nbray.tune.loggers import CSVLoggerCallback
from tests.tune.led_experiment import Led, plan


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_report(tmp_path: Path) -> None:
    logger = CSVLoggerCallback()
    Led(plan(tmp_path, [1, 2]), [logger]).run(lambda config: [{"loss": config["x"], "by": {"class": "a,b"}}, {"loss": 0}])
    table = rows(tmp_path / "trial_00001" / "progress.csv")
    assert [(row["loss"], row["by/class"], row["training_iteration"]) for row in table] == [("2", "a,b", "1"), ("0", "", "2")]
    assert logger._files._open == {}


def test_a_column_that_comes_later_is_empty_before(tmp_path: Path) -> None:
    def reports(config: dict[str, Any]) -> Any:
        return [{"loss": 3, "note": "two\nlines"}, {"loss": 2}, {"loss": 1, "accuracy": 0.5}, {"loss": 0}]

    Led(plan(tmp_path, [1]), [CSVLoggerCallback()]).run(reports)
    table = rows(tmp_path / "trial_00000" / "progress.csv")
    assert [(row["loss"], row["accuracy"]) for row in table] == [("3", ""), ("2", ""), ("1", "0.5"), ("0", "")]
    assert table[0]["note"] == "two\nlines"
