"""What a trial's code may ask, and what happens outside a trial."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nbray.checkpoints import Checkpoint
from nbray.errors import UsageError, WrongType
from nbray.tune import reporting


class Heard:
    """A trial that only listens."""

    trial_id = "00003"
    name = "train_00003"
    experiment = "e"
    resources: Mapping[str, float] = {"CPU": 2.0}
    checkpoint: Checkpoint | None = None
    iteration = 0

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.heard: list[Any] = []

    def report(self, metrics: Mapping[str, Any], checkpoint: Any) -> None:
        self.heard.append((dict(metrics), checkpoint))


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Heard]:
    heard = Heard(tmp_path / "trial_00003")
    reporting.enter(heard)
    yield heard
    reporting.leave()


def test_reports_by_dict_and_by_name(trial: Heard) -> None:
    reporting.report({"loss": 1}, accuracy=2)
    reporting.report(loss=3, checkpoint={"a": 1})
    assert trial.heard == [({"loss": 1, "accuracy": 2}, None), ({"loss": 3}, {"a": 1})]
    with pytest.raises(WrongType, match=r"report\(0\.5\): expected a dict of metrics"):
        reporting.report(0.5)  # type: ignore[arg-type]


def test_who_the_trial_is(trial: Heard, tmp_path: Path) -> None:
    context = reporting.get_context()
    assert (context.get_trial_id(), context.get_trial_name(), context.get_experiment_name()) == ("00003", "train_00003", "e")
    assert context.get_trial_resources() == {"CPU": 2.0}
    assert not trial.directory.exists()  # nothing was written into it
    assert Path(context.get_trial_dir()) == tmp_path / "trial_00003"
    assert trial.directory.is_dir()
    assert "train_00003" in repr(context)


def test_what_it_runs_on_from(trial: Heard, tmp_path: Path) -> None:
    assert reporting.get_checkpoint() is None
    trial.checkpoint = Checkpoint(tmp_path)
    assert reporting.get_checkpoint() == Checkpoint(tmp_path)


@pytest.mark.parametrize("verb", ["report", "get_checkpoint", "get_context"])
def test_outside_a_trial(verb: str) -> None:
    with pytest.raises(UsageError, match=rf"tune\.{verb}\(\) was called outside a trial"):
        getattr(reporting, verb)()


def test_threads_of_the_trial_report_and_those_of_an_earlier_one_do_not(tmp_path: Path) -> None:
    go, outcomes = threading.Event(), []

    def late() -> None:
        go.wait(10)
        try:
            reporting.report(loss=1)
        except UsageError as error:
            outcomes.append(str(error))

    left_behind = threading.Thread(target=late)
    left_behind.start()
    heard = Heard(tmp_path)
    reporting.enter(heard)
    go.set()
    own = threading.Thread(target=lambda: reporting.report(loss=2))
    own.start()
    for thread in (own, left_behind):
        thread.join()
    reporting.leave()
    assert heard.heard == [({"loss": 2}, None)]
    assert "was called outside a trial" in outcomes[0]


def test_its_end_is_none_of_the_users_exceptions() -> None:
    assert not issubclass(reporting.TrialEnd, Exception)
