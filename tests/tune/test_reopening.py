from __future__ import annotations

import pytest

from nbray.tune.events import CloseReason, Reopened, Slots, Start
from nbray.tune.stoppers import stopper_of
from nbray.tune.trial import TrialState
from tests.tune.stage import PAUSE, STOP, ListSearcher, ScriptedScheduler, Stage, closed, starts


def test_runs_that_were_lost_run_again_from_their_checkpoints_and_no_failure_is_counted() -> None:
    stage = Stage(ListSearcher([1, 2]), slots=2)
    stage.report("00000", checkpoint="c1")
    stage.report("00000")
    stage.tell(Reopened())
    assert stage.states() == {"00000": "PENDING", "00001": "PENDING"}
    assert stage.tell(Slots(2)) == [Start("00000", 2, {"x": 1}, "c1", 1), Start("00001", 2, {"x": 2})]
    assert stage.trials["00000"].failures == 0


def test_decisions_stand_a_stopped_trial_stays_stopped() -> None:
    scheduler = ScriptedScheduler({("00000", 1): STOP})
    stage = Stage(ListSearcher([1]), scheduler, slots=1)
    stage.report("00000")
    stage.tell(Reopened())
    assert stage.states() == {"00000": "TERMINATED"}
    assert stage.trials["00000"].why == "stopped by ScriptedScheduler after report 1"
    assert ("remove", "00000") in scheduler.heard
    assert closed(stage.tell(Slots(1))) is not None


def test_a_pausing_trial_is_paused_if_its_checkpoint_is_there_and_else_runs_to_where_it_paused() -> None:
    scheduler = ScriptedScheduler({("00000", 1): PAUSE, ("00001", 2): PAUSE})
    stage = Stage(ListSearcher([1, 2]), scheduler, slots=2)
    stage.report("00000", checkpoint="c1")
    stage.report("00001", checkpoint="d1")
    stage.report("00001", resumable=True)
    stage.tell(Reopened())
    assert stage.states() == {"00000": "PAUSED", "00001": "PENDING"}
    assert starts(stage.tell(Slots(1))) == ["00001"]
    assert stage.report("00001", resumable=True).decision == PAUSE
    assert [call for call in scheduler.heard if call[0] == "result"] == [
        ("result", "00000", 1), ("result", "00001", 1), ("result", "00001", 2),
    ]  # fmt: skip


@pytest.mark.parametrize("what", ["stop", "interrupt"])
def test_after_a_stop_or_an_interrupt_of_everything_all_goes_on(what: str) -> None:
    stage = Stage(ListSearcher([1, 2]), slots=1)
    stage.report("00000", checkpoint="c1")
    stage.ask(what)
    assert closed(stage.obey("00000")) is not None
    stage.tell(Reopened())
    assert stage.experiment.closed is None
    assert starts(stage.tell(Slots(2))) == ["00000", "00001"]
    assert stage.trials["00000"].attempt == 2


def test_a_process_that_died_while_everything_was_being_stopped() -> None:
    stage = Stage(ListSearcher([1, 2]), slots=2)
    stage.ask("stop", "00001")
    stage.ask("interrupt")
    stage.tell(Reopened())
    assert stage.states() == {"00000": "PENDING", "00001": "TERMINATED"}, "one of them was to end in any case"


def test_who_finished_when_its_process_died_is_complete_if_a_stopper_had_found_it_done() -> None:
    scheduler = ScriptedScheduler()
    stage = Stage(ListSearcher([1]), scheduler, stopper_of({"training_iteration": 1}), slots=1)
    stage.report("00000")
    stage.tell(Reopened())
    assert ("complete", "00000", 1) in scheduler.heard


@pytest.mark.parametrize(
    ("event", "states", "checkpoint"),
    [
        (Reopened(), ("ERROR", "PENDING"), "c1"),
        (Reopened(resume_errored=True), ("PENDING", "PENDING"), "c1"),
        (Reopened(restart_errored=True), ("PENDING", "PENDING"), None),
        (Reopened(resume_unfinished=False), ("ERROR", "TERMINATED"), "c1"),
    ],
)
def test_which_trials_run_again(event: Reopened, states: tuple[str, str], checkpoint: str | None) -> None:
    stage = Stage(ListSearcher([1, 2]), slots=2)
    stage.report("00000", checkpoint="c1")
    stage.fail("00000")
    stage.tell(event)
    assert tuple(stage.states().values()) == states
    assert stage.trials["00000"].checkpoint == checkpoint
    if states[0] == "PENDING":
        assert (stage.trials["00000"].failures, stage.trials["00000"].error) == (0, "")
        iteration = 1 if checkpoint else 0
        assert stage.tell(Slots(2))[0] == Start("00000", 2, {"x": 1}, checkpoint, iteration)
        stage.end("00000", metrics={"loss": 1.0})
        assert stage.trials["00000"].state is TrialState.TERMINATED


def test_an_experiment_that_is_done_can_be_reopened_for_its_failed_trials() -> None:
    stage = Stage(ListSearcher([1]), slots=1)
    end = closed(stage.fail("00000"))
    assert end is not None
    assert end.why is CloseReason.DONE
    stage.tell(Reopened(resume_errored=True))
    assert starts(stage.tell(Slots(1))) == ["00000"]
    assert closed(stage.end("00000", metrics={"loss": 1.0})) is not None


def test_a_time_budget_that_is_used_up_stays_so() -> None:
    stage = Stage(ListSearcher([1]), slots=1, time_budget_s=2.0)
    stage.tick()
    stage.obey("00000")
    assert stage.experiment.closed is not None
    assert closed(stage.tell(Reopened())) is not None
