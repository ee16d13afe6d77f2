from __future__ import annotations

import pytest

from nbray.tune.events import CloseReason, Interrupt, Moved, Slots, Start
from nbray.tune.schedulers.scheduler import Resumption
from tests.tune.stage import CONTINUE, PAUSE, STOP, ListSearcher, ScriptedScheduler, Stage, closed, said, starts


def test_stop_at_the_next_report() -> None:
    stage = Stage(slots=1)
    assert stage.ask("stop", "00000") == [Moved("00000", "STOPPING", "stopped by hand")]
    answer = stage.report("00000", loss=0.5)
    assert (answer.decision, answer.why) == ("STOP", "stopped by hand")
    assert starts(stage.obey("00000")) == ["00001"]
    assert stage.trials["00000"].last_result["loss"] == 0.5, "what it reported then counts"
    assert ("result", "00000", 1) not in stage.scheduler.heard  # type: ignore[attr-defined]


def test_a_trial_that_does_not_report_is_interrupted_after_a_while() -> None:
    stage = Stage(slots=1)
    stage.ask("stop", "00000")
    assert stage.experiment.wakes_at() == stage.now + 5.0
    assert stage.tick(after=4.9) == []
    assert stage.tick(after=0.2) == [Interrupt("00000")]
    assert stage.experiment.wakes_at() is None
    stage.obey("00000")
    assert stage.states()["00000"] == "TERMINATED"


def test_stop_of_one_that_waits() -> None:
    scheduler = ScriptedScheduler({("00000", 1): PAUSE})
    stage = Stage(ListSearcher([1, 2]), scheduler, slots=1)
    stage.report("00000", checkpoint="c1")
    stage.obey("00000")
    stage.add(7)
    stage.ask("stop", "00000")
    stage.ask("stop", "00002")
    assert stage.states() == {"00000": "TERMINATED", "00001": "RUNNING", "00002": "TERMINATED"}
    assert ("remove", "00000") in scheduler.heard
    assert ("remove", "00002") not in scheduler.heard, "it never knew it"
    assert closed(stage.end("00001", metrics={"loss": 1.0})) is not None


def test_stop_all() -> None:
    stage = Stage(slots=2)
    stage.add(7)
    stage.ask("stop")
    assert stage.states() == {"00000": "STOPPING", "00001": "STOPPING", "00002": "PENDING"}
    assert stage.report("00000", after=0.5).decision == STOP
    stage.obey("00000")
    assert stage.entries[-1].actions[-1] == Interrupt("00001")
    end = closed(stage.obey("00001"))
    assert end is not None
    assert (end.why, end.text) == (CloseReason.STOPPED, "stopped by hand")
    assert set(stage.states().values()) == {"PENDING"}, "all can run on when it is restored"


def test_interrupt_leaves_trials_to_be_restored() -> None:
    stage = Stage(slots=2)
    stage.report("00000", checkpoint="c1")
    stage.ask("interrupt")
    stage.obey("00000")
    end = closed(stage.fail("00001", "KeyboardInterrupt"))
    assert end is not None
    assert end.why is CloseReason.INTERRUPTED
    assert stage.states() == {"00000": "PENDING", "00001": "PENDING"}


def test_pause_and_resume() -> None:
    stage = Stage(ListSearcher([1, 2]), slots=1)
    assert stage.ask("pause", "00000") == [Moved("00000", "RUNNING", "pauses at its next report")]
    answer = stage.report("00000", resumable=True)
    assert (answer.decision, answer.why) == ("PAUSE", "paused by hand")
    assert starts(stage.obey("00000", checkpoint="c1")) == ["00001"]
    assert stage.states() == {"00000": "PAUSED", "00001": "RUNNING"}
    assert starts(stage.ask("resume", "00000")) == [], "there is no place"
    assert stage.end("00001", metrics={"loss": 1.0})[-1] == Start("00000", 2, {"x": 1}, "c1", 1)


def test_a_pause_that_was_not_meant() -> None:
    stage = Stage(slots=1)
    stage.ask("pause", "00000")
    stage.ask("resume", "00000")
    assert stage.report("00000", resumable=True).decision == CONTINUE


def test_who_makes_no_checkpoints_cannot_be_paused() -> None:
    stage = Stage(slots=1)
    stage.ask("pause", "00000")
    assert stage.report("00000").decision == CONTINUE
    assert "makes no checkpoints: give some to tune.report(metrics, checkpoint=...)" in said(stage.entries[-1].actions)[0]
    assert stage.report("00000", resumable=True).decision == CONTINUE, "it is asked for once"


def test_stop_goes_before_a_pause() -> None:
    stage = Stage(scheduler=ScriptedScheduler({("00000", 1): STOP}), slots=1)
    stage.ask("pause", "00000")
    assert stage.report("00000", resumable=True).decision == STOP
    stage.obey("00000")
    assert stage.states()["00000"] == "TERMINATED"


def test_the_experiment_waits_for_what_was_paused_by_hand_and_says_so() -> None:
    stage = Stage(ListSearcher([1]), slots=1)
    stage.ask("pause", "00000")
    stage.report("00000", resumable=True)
    lines = said(stage.obey("00000", checkpoint="c1"))
    assert lines == ["the experiment waits: what is left (00000) was paused by hand; resume it or stop it"]
    assert said(stage.tick()) == []
    assert ("stall",) not in stage.scheduler.heard  # type: ignore[attr-defined]
    assert starts(stage.ask("resume", "00000")) == ["00000"]
    stage.ask("pause", "00000")
    stage.report("00000", resumable=True)
    stage.obey("00000")
    assert closed(stage.ask("stop", "00000")) is not None


def test_a_trial_that_waits_can_be_paused() -> None:
    stage = Stage(ListSearcher([1]), slots=1)
    stage.add(2)
    stage.ask("pause", "00001")
    assert starts(stage.end("00000", metrics={"loss": 1.0})) == []
    assert starts(stage.ask("resume", "00001")) == ["00001"]


def test_what_the_scheduler_wants_of_a_trial_that_is_held_waits() -> None:
    scheduler = ScriptedScheduler({("00000", 1): PAUSE})
    stage = Stage(ListSearcher([1, 2]), scheduler, slots=2)
    stage.report("00000", checkpoint="c1")
    stage.obey("00000")
    stage.ask("pause", "00000")
    scheduler.resume.append(Resumption("00000", {"x": 5}))
    assert starts(stage.tell(Slots(2))) == []
    assert stage.ask("resume", "00000")[-1] == Start("00000", 2, {"x": 5}, "c1", 1)


def test_a_trial_that_the_scheduler_has_paused_is_its_to_resume() -> None:
    scheduler = ScriptedScheduler({("00000", 1): PAUSE})
    stage = Stage(ListSearcher([1, 2]), scheduler, slots=1)
    stage.report("00000", checkpoint="c1")
    stage.obey("00000")
    assert said(stage.ask("resume", "00000")) == [
        "trial 00000 was not paused by hand: its scheduler decides when it runs on"
    ]


def test_both_pause_at_the_same_report() -> None:
    scheduler = ScriptedScheduler({("00000", 1): PAUSE})
    stage = Stage(ListSearcher([1, 2]), scheduler, slots=1)
    stage.ask("pause", "00000")
    stage.report("00000", checkpoint="c1")
    stage.obey("00000")
    stage.end("00001", metrics={"loss": 1.0})
    assert stage.experiment.closed is None, "a person holds it"
    stage.ask("resume", "00000")
    assert stage.experiment.closed is not None, "and the scheduler does not want it"


def test_pause_and_resume_all() -> None:
    stage = Stage(ListSearcher([1, 2, 3]), slots=2)
    stage.ask("pause")
    stage.report("00000", checkpoint="c1")
    stage.obey("00000")
    stage.end("00001", metrics={"loss": 1.0})
    assert stage.states() == {"00000": "PAUSED", "00001": "TERMINATED"}, "nothing new was started"
    assert starts(stage.ask("resume")) == ["00000", "00002"]


def test_a_clone_begins_where_the_trial_is() -> None:
    stage = Stage(searcher := ListSearcher([1]), slots=2)
    stage.report("00000", checkpoint="c1")
    actions = stage.ask("clone", "00000")
    assert actions == [
        Moved("00001", "PENDING", "a clone of trial 00000", {"x": 1}, "c1"), Start("00001", 1, {"x": 1}, "c1", 1)
    ]  # fmt: skip
    assert ("given", "00001", {"x": 1}) in searcher.heard
    stage.report("00001")
    assert stage.trials["00001"].last_result["training_iteration"] == 2


def test_added_configurations_go_first() -> None:
    stage = Stage(searcher := ListSearcher([1, 2]), slots=1)
    stage.add("mine")
    assert ("given", "00001", {"x": "mine"}) in searcher.heard
    assert starts(stage.end("00000", metrics={"loss": 1.0})) == ["00001"]
    assert stage.trials["00001"].config == {"x": "mine"}


@pytest.mark.parametrize(
    ("what", "trial_id", "answer"),
    [
        ("stop", "7", "there is no trial '7' to stop: there are 00000 to 00001"),
        ("stop", "00000", "trial 00000 has ended already (TERMINATED)"),
        ("explode", "00001", "'explode' was asked for; one can stop, pause, resume a trial or all, clone one, interrupt all"),
        ("clone", "", "'clone' was asked for; one can stop, pause, resume a trial or all, clone one, interrupt all"),
    ],
)
def test_what_cannot_be_done_is_said(what: str, trial_id: str, answer: str) -> None:
    stage = Stage(slots=1)
    stage.end("00000", metrics={"loss": 1.0})
    assert said(stage.ask(what, trial_id)) == [answer]


def test_a_trial_that_is_being_stopped_cannot_be_paused() -> None:
    stage = Stage(slots=1)
    stage.ask("stop", "00000")
    assert said(stage.ask("pause", "00000")) == ["trial 00000 cannot be paused, it is being stopped"]
