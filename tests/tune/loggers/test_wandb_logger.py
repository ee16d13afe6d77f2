"""Each trial is a run of W&B; a pretended module tells what it was asked."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.tune.loggers import WandbLoggerCallback
from tests.tune.led_experiment import Led, plan


class PretendedRun:
    def __init__(self, **init: Any) -> None:
        self.init = init
        self.logged: list[tuple[int, dict[str, Any]]] = []
        self.exit_code = -1

    def log(self, values: dict[str, Any], step: int) -> None:
        self.logged.append((step, values))

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[PretendedRun]:
    made: list[PretendedRun] = []

    def init(**arguments: Any) -> PretendedRun:
        made.append(PretendedRun(**arguments))
        return made[-1]

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    return made


def reports(config: dict[str, Any]) -> Any:
    yield {"loss": 2.0, "secret": 1}
    if config["x"] == 2:
        raise ValueError("no luck")


def test_a_run_for_each_trial(tmp_path: Path, runs: list[PretendedRun]) -> None:
    logger = WandbLoggerCallback("digits", excludes=["secret"], log_config=True, mode="offline")
    Led(plan(tmp_path, [1, 2]), [logger]).run(reports)
    first, second = runs
    assert first.init == {
        "project": "digits", "group": "forest", "name": "train_00000", "config": {"x": 1}, "reinit": "create_new",
        "mode": "offline",
    }  # fmt: skip
    ((step, values),) = first.logged
    assert (step, values["loss"], values["config/x"], "secret" in values) == (1, 2.0, 1, False)
    assert (first.exit_code, second.exit_code) == (0, 1)


def test_a_trial_that_had_not_ended_has_failed(tmp_path: Path, runs: list[PretendedRun]) -> None:
    logger = WandbLoggerCallback()
    led = Led(plan(tmp_path, [1]), [logger])
    trial = next(iter(Led(plan(tmp_path, [1])).run(reports).view.trials.values()))
    logger.on_trial_start(1, [trial], trial)
    logger.on_trial_start(2, [trial], trial)
    logger.on_experiment_end([trial])
    assert [(run.init["project"], run.exit_code) for run in runs] == [("forest", 1)]
    assert led.lines == []


def test_without_wandb_one_hears_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UsageError, match=r"WandbLoggerCallback needs wandb.*pip install wandb"):
        WandbLoggerCallback()
