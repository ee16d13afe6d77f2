"""Each trial is a run of MLflow; a pretended client tells what it was asked."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.tune.loggers import MLflowLoggerCallback
from tests.tune.led_experiment import Led, plan


class PretendedClient:
    """The part of MlflowClient that is used."""

    made: list[PretendedClient] = []

    def __init__(self, tracking_uri: str | None, registry_uri: str | None) -> None:
        self.tracking_uri = tracking_uri
        self.calls: list[tuple[Any, ...]] = []
        self.made.append(self)

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id="7") if name == "known" else None

    def create_experiment(self, name: str) -> str:
        self.calls.append(("create_experiment", name))
        return "8"

    def create_run(self, experiment_id: str, tags: dict[str, Any], run_name: str) -> Any:
        self.calls.append(("create_run", experiment_id, run_name, tags))
        return SimpleNamespace(info=SimpleNamespace(run_id=run_name))

    def __getattr__(self, verb: str) -> Any:
        return lambda *args, **kwargs: self.calls.append((verb, *args, *kwargs.values()))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[PretendedClient]:
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=PretendedClient))
    monkeypatch.setattr(PretendedClient, "made", [])
    return PretendedClient.made


def reports(config: dict[str, Any]) -> Any:
    yield {"loss": 2.0, "note": "text"}
    if config["x"] == 2:
        raise ValueError("no luck")


def test_a_run_for_each_trial(tmp_path: Path, made: list[PretendedClient]) -> None:
    Led(plan(tmp_path, [1, 2]), [MLflowLoggerCallback("http://server", tags={"who": "me"})]).run(reports)
    (client,) = made
    assert client.tracking_uri == "http://server"
    assert client.calls[0] == ("create_experiment", "forest")
    assert client.calls[1] == ("create_run", "8", "train_00000", {"who": "me", "trial_name": "train_00000"})
    assert client.calls[2] == ("log_param", "train_00000", "x", 1)
    assert ("log_metric", "train_00000", "loss", 2.0, 1) in client.calls
    assert ("set_terminated", "train_00000", "FINISHED") in client.calls
    assert ("set_terminated", "train_00001", "FAILED") in client.calls
    assert [call for call in client.calls if call[2:3] == ("note",)] == []


def test_an_experiment_that_is_there_is_used_and_directories_are_logged(tmp_path: Path, made: list[PretendedClient]) -> None:
    (tmp_path / "trial_00000").mkdir()
    Led(plan(tmp_path, [1]), [MLflowLoggerCallback(experiment_name="known", save_artifact=True)]).run(reports)
    assert made[0].calls[0][:2] == ("create_run", "7")
    assert made[0].calls[-2:] == [
        ("log_artifacts", "train_00000", str(tmp_path / "trial_00000")), ("set_terminated", "train_00000", "FINISHED"),
    ]  # fmt: skip


def test_a_trial_that_had_not_ended_is_killed(tmp_path: Path, made: list[PretendedClient]) -> None:
    logger = MLflowLoggerCallback()
    led = Led(plan(tmp_path, [1]), [logger])
    trial = next(iter(Led(plan(tmp_path, [1])).run(reports).view.trials.values()))
    logger.on_trial_start(1, [trial], trial)
    logger.on_experiment_end([trial])
    assert made[0].calls[-1] == ("set_terminated", "train_00000", "KILLED")
    assert led.lines == []


def test_without_mlflow_one_hears_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(UsageError, match=r"MLflowLoggerCallback needs mlflow.*pip install mlflow-skinny"):
        MLflowLoggerCallback()
