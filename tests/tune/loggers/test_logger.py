"""A logger of one's own hears of the moments of trials, and has their directories."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbray.tune.configs import FailureConfig, RunConfig
from nbray.tune.loggers.logger import LoggerCallback
from nbray.tune.trial import Trial
from tests.tune.led_experiment import Led, plan


class Diary(LoggerCallback):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def log_trial_start(self, trial: Trial) -> None:
        self.lines.append(f"start in {self.directory(trial).name}")

    def log_trial_result(self, iteration: int, trial: Trial, result: Mapping[str, Any]) -> None:
        self.lines.append(f"result {result['loss']}")

    def log_trial_save(self, trial: Trial) -> None:
        self.lines.append("save")

    def log_trial_restore(self, trial: Trial) -> None:
        self.lines.append("restore")

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        self.lines.append(f"end {failed}")


def reports(config: dict[str, Any]) -> Any:
    yield {"loss": config["x"]}
    if config["x"] == 2:
        raise ValueError("two")


def test_it_hears_of_each_moment(tmp_path: Path) -> None:
    diary = Diary()
    Led(plan(tmp_path, [1]), [diary]).run(reports, checkpoints=["/c1"])
    assert diary.lines == ["start in trial_00000", "result 1", "save", "end False"]
    assert (tmp_path / "trial_00000").is_dir()


def test_and_of_failures(tmp_path: Path) -> None:
    diary = Diary()
    Led(plan(tmp_path, [2], RunConfig(failure_config=FailureConfig(1))), [diary]).run(reports, checkpoints=["/c1"])
    again = ["restore", "start in trial_00000", "result 2"]
    assert diary.lines == ["start in trial_00000", "result 2", "save", *again, "end True"]


def test_a_plain_one_does_nothing(tmp_path: Path) -> None:
    led = Led(plan(tmp_path, [1]), [LoggerCallback()]).run(reports, checkpoints=["/c1"])
    assert led.lines == []
    assert list(tmp_path.iterdir()) == []
