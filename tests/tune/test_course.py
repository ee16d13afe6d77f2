"""An experiment with its journal, its loggers and its disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nbray import checkpoints, tune
from nbray.errors import UsageError
from nbray.tune.callbacks import Callback
from nbray.tune.configs import CheckpointConfig, ResumeConfig
from nbray.tune.course import JOURNAL, Course
from nbray.tune.events import Answer, Asked, Close, Ended, Failed, Reported, Slots, Start, Tick
from nbray.tune.journal import read_journal, read_view
from nbray.tune.trial import TrialState
from tests.tune.plans import make_plan
from tests.tune.test_trainables import train


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(directory: Path, clock: Clock, resume: ResumeConfig | None = None, **config: Any) -> Course:
    space = {"x": tune.grid_search([1, 2])}
    return Course(make_plan(train, directory, space, **config), resume, clock)


def only(actions: list[Any], kind: type) -> list[Any]:
    return [action for action in actions if isinstance(action, kind)]


def test_what_is_decided_is_in_the_journal_before_it_is_done(tmp_path: Path, clock: Clock) -> None:
    course = make(tmp_path / "e", clock)
    clock.now += 2.0
    actions = course.take(Slots(1))
    assert [start.config for start in only(actions, Start)] == [{"x": 1}]
    header, entries = read_journal(tmp_path / "e" / JOURNAL)
    assert (header.name, header.metric, header.total) == ("e", "loss", 2)
    assert entries == course.entries
    assert (entries[0].number, entries[0].now, entries[0].actions) == (1, 2.0, actions)
    assert course.view.trials["00000"].state is TrialState.RUNNING
    course.close()


def test_a_tick_of_which_nothing_follows_is_not_kept(tmp_path: Path, clock: Clock) -> None:
    course = make(tmp_path / "e", clock)
    assert course.take(Tick()) == []
    assert course.entries == []
    course.close()


def test_the_end_closes_the_journal_and_the_loggers(tmp_path: Path, clock: Clock) -> None:
    course = make(tmp_path / "e", clock)
    course.take(Slots(2))
    for trial_id in ("00000", "00001"):
        last = course.take(Ended(trial_id, 1, metrics={"loss": 1.0}))
    assert only(last, Close)
    assert course.closed
    assert (tmp_path / "e" / "results.csv").read_text().count("\n") == 3
    again, _, _ = course._journal.open(tmp_path / "e" / JOURNAL)  # nobody holds it any more
    again.close()
    course.close()


def test_errors_are_files_too(tmp_path: Path, clock: Clock) -> None:
    course = make(tmp_path / "e", clock)
    course.take(Slots(1))
    course.take(Failed("00000", 1, "Traceback: é"))
    assert (tmp_path / "e" / "trial_00000" / "error.txt").read_text(encoding="utf-8") == "Traceback: é"
    course.close()


def test_checkpoints_that_nobody_needs_go(tmp_path: Path, clock: Clock) -> None:
    course = make(tmp_path / "e", clock, checkpoints=CheckpointConfig(num_to_keep=1))
    course.take(Slots(1))
    for step in (1, 2):
        path = f"trial_00000/checkpoint_{step:06d}"
        checkpoints.write({"step": step}, tmp_path / "e" / path)
        assert only(course.take(Reported("00000", 1, {"loss": 1.0}, checkpoint=path, resumable=True)), Answer)
    assert [each.name for each in (tmp_path / "e" / "trial_00000").iterdir()] == ["checkpoint_000002"]
    course.close()


# -------------------------------------------------------------------- taken up again


def test_it_goes_on_where_it_was(tmp_path: Path, clock: Clock) -> None:
    course = make(tmp_path / "e", clock)
    course.take(Slots(1))
    clock.now += 5.0
    path = "trial_00000/checkpoint_000001"
    checkpoints.write({"step": 1}, tmp_path / "e" / path)
    course.take(Reported("00000", 1, {"loss": 1.0}, checkpoint=path, resumable=True))
    course._journal.close()  # as if it had been killed
    (tmp_path / "e" / "trial_00000" / ".unfinished-abc").mkdir()

    clock.now = 7000.0
    again = make(tmp_path / "e", clock, ResumeConfig())
    assert not (tmp_path / "e" / "trial_00000" / ".unfinished-abc").exists()
    assert again.now == pytest.approx(5.0)
    starts = only(again.take(Slots(1)), Start)
    assert [(start.trial_id, start.attempt, start.checkpoint, start.iteration) for start in starts] == [("00000", 2, path, 1)]
    assert [entry.number for entry in again.entries] == list(range(1, len(again.entries) + 1))
    assert read_view(tmp_path / "e" / JOURNAL).trials["00000"].attempt == 2
    again.close()


def test_two_cannot_lead_it_at_once(tmp_path: Path, clock: Clock) -> None:
    course = make(tmp_path / "e", clock)
    with pytest.raises(UsageError, match="is led by another process"):
        make(tmp_path / "e", clock, ResumeConfig())
    with pytest.raises(UsageError, match="there is an experiment in"):
        make(tmp_path / "e", clock)
    course.take(Slots(1))
    course.take(Asked("interrupt"))
    course.close()


class Broken(Callback):
    """A logger that cannot go on."""

    in_controller = True

    def on_trial_start(self, *args: Any, **info: Any) -> None:
        raise OSError("no space left")


def test_a_logger_that_fails_is_told_no_more_and_the_user_hears_of_it(tmp_path: Path, clock: Clock) -> None:
    plan = make_plan(train, tmp_path / "e", {"x": tune.grid_search([1, 2])})
    plan.run.callbacks = [Broken()]
    course = Course(plan, None, clock)
    course.take(Slots(2))
    assert len(course.view.lines) == 1
    assert "Broken is told no more: its on_trial_start raised" in course.view.lines[0]
    assert "OSError: no space left" in course.view.lines[0]
    course.close()
