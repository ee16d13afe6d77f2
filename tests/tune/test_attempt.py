"""One run of a trial: what it sends, when checkpoints are written, and how it obeys."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbray.checkpoints import Checkpoint
from nbray.errors import WrongType
from nbray.tune.attempt import Assignment, Attempt, Workplace, plain_metrics
from nbray.tune.configs import CheckpointConfig
from nbray.tune.events import Answer, Reported, Start
from nbray.tune.reporting import TrialEnd
from tests.tune.plans import make_plan


class Judge:
    """Answers reports, and remembers them."""

    def __init__(self) -> None:
        self.heard: list[Reported] = []
        self.decisions: dict[int, str] = {}
        """By the how-maniest report."""

    def __call__(self, message: Reported) -> Answer:
        self.heard.append(message)
        return Answer(message.trial_id, self.decisions.get(len(self.heard), "CONTINUE"))


@pytest.fixture
def judge() -> Judge:
    return Judge()


def make(directory: Path, judge: Judge, start: Start | None = None, **checkpoints: Any) -> Attempt:
    plan = make_plan(None, directory, checkpoints=CheckpointConfig(**checkpoints))
    assignment = Assignment(start or Start("00000", 1, {"x": 1}), "train_00000", plan.directory_of("00000"))
    return Attempt(assignment, Workplace.of(plan, {"CPU": 1.0}, "loss"), judge)


def on_disk(directory: Path) -> list[str]:
    return sorted(str(each.relative_to(directory)) for each in directory.glob("trial_*/*"))


def test_a_report_says_when_and_how_long(tmp_path: Path, judge: Judge) -> None:
    attempt = make(tmp_path, judge)
    attempt.report({"loss": np.float32(0.5)}, None)
    attempt.report({"loss": 0.25}, None)
    first, second = judge.heard
    assert (first.trial_id, first.attempt, first.metrics["loss"], first.resumable) == ("00000", 1, 0.5, False)
    assert 0 <= second.metrics["time_this_iter_s"] < 1
    assert second.metrics["timestamp"] >= first.metrics["timestamp"] > 1e9
    assert attempt.iteration == 2
    assert not tmp_path.joinpath("trial_00000").exists()


def test_it_runs_on_from_where_it_was(tmp_path: Path, judge: Judge) -> None:
    (tmp_path / "trial_00001" / "checkpoint_000004").mkdir(parents=True)
    start = Start("00000", 3, {}, checkpoint="trial_00001/checkpoint_000004", iteration=4)
    attempt = make(tmp_path, judge, start)
    assert attempt.checkpoint == Checkpoint(tmp_path / "trial_00001" / "checkpoint_000004")
    attempt.report({"loss": 1}, {"a": 1})
    assert (judge.heard[0].attempt, judge.heard[0].checkpoint) == (3, "trial_00000/checkpoint_000005")


# -------------------------------------------------------------------- when checkpoints are written


def never() -> dict[str, Any]:
    raise AssertionError("nobody needs it")


def test_what_is_given_is_there_before_the_report_is_sent(tmp_path: Path, judge: Judge) -> None:
    def send(message: Reported) -> Answer:
        assert Checkpoint(tmp_path / str(message.checkpoint)).to_dict() == {"at": 1}
        return judge(message)

    attempt = make(tmp_path, judge)
    attempt._send = send
    attempt.report({"loss": 1}, {"at": 1})
    assert judge.heard[0].resumable
    assert attempt.ended().checkpoint is None  # it was told with the report


def test_a_function_is_only_called_when_it_is_due(tmp_path: Path, judge: Judge) -> None:
    attempt = make(tmp_path, judge, checkpoint_frequency=2, checkpoint_at_end=False)
    attempt.report({"loss": 1}, never)
    attempt.report({"loss": 1}, lambda: {"at": 2})
    attempt.report({"loss": 1}, never)
    assert on_disk(tmp_path) == ["trial_00000/checkpoint_000002"]
    assert [each.resumable for each in judge.heard] == [True] * 3
    assert [each.checkpoint for each in judge.heard] == [None, "trial_00000/checkpoint_000002", None]
    assert attempt.ended().checkpoint is None


def test_without_a_frequency_a_function_is_called_for_a_pause_only(tmp_path: Path, judge: Judge) -> None:
    attempt = make(tmp_path, judge)
    attempt.report({"loss": 1}, never)
    assert attempt.ended().checkpoint is None
    judge.decisions = {2: "PAUSE"}
    with pytest.raises(TrialEnd):
        attempt.report({"loss": 1}, lambda: {"at": 2})
    ended = attempt.ended()
    assert (ended.obeyed, ended.checkpoint) == (True, "trial_00000/checkpoint_000002")


def test_dicts_follow_the_frequency_and_files_do_not(tmp_path: Path, judge: Judge) -> None:
    (tmp_path / "files").mkdir()
    attempt = make(tmp_path, judge, checkpoint_frequency=3, checkpoint_at_end=False)
    attempt.report({"loss": 1}, {"at": 1})
    attempt.report({"loss": 1}, tmp_path / "files")  # it may be gone a moment later
    assert on_disk(tmp_path) == ["trial_00000/checkpoint_000002"]


@pytest.mark.parametrize("told", ["", "STOP"])
def test_the_last_one_is_written_at_the_end(tmp_path: Path, judge: Judge, told: str) -> None:
    attempt = make(tmp_path, judge, checkpoint_frequency=10)
    attempt.report({"loss": 1}, lambda: {"at": 1})
    if told:
        judge.decisions = {2: told}
        with pytest.raises(TrialEnd):
            attempt.report({"loss": 1}, lambda: {"at": 2})
    else:
        attempt.report({"loss": 1}, lambda: {"at": 2})
    assert attempt.ended().checkpoint == "trial_00000/checkpoint_000002"
    assert Checkpoint(tmp_path / "trial_00000" / "checkpoint_000002").to_dict() == {"at": 2}


# -------------------------------------------------------------------- obeying, and the end


def test_who_catches_the_end_hears_it_again(tmp_path: Path, judge: Judge) -> None:
    judge.decisions = {1: "STOP"}
    attempt = make(tmp_path, judge)
    for _ in range(2):
        with pytest.raises(TrialEnd):
            attempt.report({"loss": 1}, None)
    assert len(judge.heard) == 1
    ended = attempt.ended({"loss": 3})
    assert (ended.obeyed, ended.metrics) == (True, None)


def test_what_is_returned_is_a_last_report(tmp_path: Path, judge: Judge) -> None:
    attempt = make(tmp_path, judge)
    ended = attempt.ended({"loss": np.int64(3)})
    assert ended.metrics is not None
    assert (ended.metrics["loss"], ended.obeyed, attempt.iteration) == (3, False, 1)
    assert "timestamp" in ended.metrics


def test_reports_of_several_threads_come_one_by_one(tmp_path: Path, judge: Judge) -> None:
    attempt = make(tmp_path, judge)
    threads = [threading.Thread(target=attempt.report, args=({"loss": n}, None)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert attempt.iteration == len(judge.heard) == 8


def test_plain_metrics() -> None:
    plain = plain_metrics({"a": np.float64(1.5), "b": np.array(2), "c": {"d": np.bool_(True)}, "e": [1], "f": None})
    assert plain == {"a": 1.5, "b": 2, "c": {"d": True}, "e": [1], "f": None}
    assert [type(plain[name]) for name in "ab"] == [float, int]
    with pytest.raises(WrongType, match=r"3 is no name of a metric"):
        plain_metrics({3: 1})  # type: ignore[dict-item]
