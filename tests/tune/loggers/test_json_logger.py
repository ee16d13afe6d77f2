"""Each trial's reports are lines of JSON that any reader of JSON takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nbray.tune.dispatch import Dispatch
from nbray.tune.loggers import JsonLoggerCallback
from nbray.tune.view import View
from tests.tune.led_experiment import Led, plan


def test_reports_and_parameters_are_written(tmp_path: Path) -> None:
    logger = JsonLoggerCallback()
    Led(plan(tmp_path, [1, 2]), [logger]).run(lambda config: [{"loss": np.float32(config["x"])}, {"loss": float("nan")}])
    lines = [json.loads(line) for line in (tmp_path / "trial_00001" / "result.json").read_text().splitlines()]
    assert [line["loss"] for line in lines] == [2.0, "nan"]
    assert [line["training_iteration"] for line in lines] == [1, 2]
    assert lines[0]["config"] == {"x": 2}
    assert json.loads((tmp_path / "trial_00001" / "params.json").read_text()) == {"x": 2}
    assert logger._files._open == {}


def test_a_restored_experiment_writes_the_past_anew(tmp_path: Path) -> None:
    led = Led(plan(tmp_path, [1]), [JsonLoggerCallback()]).run(lambda config: [{"loss": 1.0}, {"loss": 0.5}])
    path = tmp_path / "trial_00000" / "result.json"
    whole = path.read_text()
    path.write_text(whole[:30])
    again, view = Dispatch([JsonLoggerCallback()], led.plan, patient=False), View("loss", "min")
    for entry in led.entries:
        view.fold(entry)
        again.tell(entry, view, past=True)
    assert path.read_text() == whole
