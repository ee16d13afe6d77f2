"""Every experiment leaves a table of what came of each trial."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from nbray.tune import dispatch
from tests.tune.led_experiment import Led, plan


def reports(config: dict[str, Any]) -> Any:
    yield {"loss": config["x"], "extra" if config["x"] == 1 else "other": 5}
    if config["x"] == 2:
        raise ValueError("no luck")


def test_a_row_for_each_trial_with_its_configuration_and_error(tmp_path: Path) -> None:
    led = Led(plan(tmp_path, [1, 2]))
    led.dispatch = dispatch.in_controller(led.plan)
    led.run(reports)
    with (tmp_path / "results.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["trial_id"], first["state"], first["loss"]) == ("00000", "TERMINATED", "1")
    assert (first["extra"], first["config/x"]) == ("5", "1")
    assert (second["state"], second["other"], second["error"]) == ("ERROR", "5", "ValueError: no luck")
    assert first["error"] == second["extra"] == ""
    assert list(first)[:3] == ["trial_id", "state", "loss"], "what it is about comes first"
    assert list(first)[-1] == "error"
