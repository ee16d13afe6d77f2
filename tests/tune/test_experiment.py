from __future__ import annotations

import math
import random
from typing import Any

import pytest

from nbray.errors import UsageError
from nbray.tune.events import Answer, CloseReason, Ended, Failed, Interrupt, Noticed, Reported, Slots, Start
from nbray.tune.experiment import Experiment
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.schedulers import ASHAScheduler
from nbray.tune.schedulers.scheduler import Resumption
from nbray.tune.search.searcher import Exhausted
from nbray.tune.stoppers import Stopper, TimeoutStopper, stopper_of
from tests.tune.random_play import RandomPlay, faulty
from tests.tune.stage import CONTINUE, PAUSE, STOP, ListSearcher, ScriptedScheduler, Stage, closed, said, starts


def test_trials_start_in_free_places_and_the_last_end_closes() -> None:
    stage = Stage()
    assert starts(stage.tell(Slots(2))) == ["00000", "00001"]
    assert stage.report("00000", loss=2.0) == Answer("00000", "CONTINUE")
    assert starts(stage.end("00000")) == ["00002"]
    assert closed(stage.end("00001", metrics={"loss": 1.0})) is None
    end = closed(stage.end("00002"))
    assert end is not None
    assert end.why is CloseReason.DONE
    assert set(stage.states().values()) == {"TERMINATED"}
    assert stage.trials["00001"].last_result["training_iteration"] == 1
    assert stage.trials["00001"].last_result["done"] is True
    assert stage.trials["00002"].why == "it reported nothing"


def test_who_is_told_of_what() -> None:
    scheduler, searcher = ScriptedScheduler({("00001", 1): STOP}), ListSearcher([1, 2, 3])
    stage = Stage(searcher, scheduler, slots=3)
    stage.report("00000")
    stage.end("00000", metrics={"loss": 0.5})
    stage.report("00001")
    stage.obey("00001")
    stage.fail("00002")
    assert scheduler.heard == [
        ("add", "00000"), ("add", "00001"), ("add", "00002"), ("result", "00000", 1), ("complete", "00000", 2),
        ("search finished",), ("result", "00001", 1), ("remove", "00001"), ("remove", "00002"),
    ]  # fmt: skip
    assert searcher.heard == [
        ("result", "00000", 1), ("complete", "00000", False), ("stopped", "00001"), ("complete", "00002", True),
    ]  # fmt: skip


def test_a_stopped_trial_says_why_and_ends_when_it_obeys() -> None:
    stage = Stage(scheduler=ScriptedScheduler({("00000", 2): STOP}), slots=1)
    assert stage.report("00000").decision == CONTINUE
    answer = stage.report("00000")
    assert answer == Answer("00000", "STOP", "stopped by ScriptedScheduler after report 2")
    assert stage.report("00000", loss=0.1).decision == STOP, "whoever swallows the stop is told again"
    assert starts(stage.obey("00000")) == ["00001"]
    assert stage.trials["00000"].why == "stopped by ScriptedScheduler after report 2"
    assert stage.trials["00000"].iteration == 3


def test_a_paused_trial_runs_on_from_its_checkpoint() -> None:
    scheduler = ScriptedScheduler({("00000", 2): PAUSE})
    stage = Stage(ListSearcher([1]), scheduler, slots=1)
    stage.report("00000")
    assert stage.report("00000", resumable=True).decision == PAUSE
    scheduler.resume.append(resumption("00000"))
    actions = stage.obey("00000", checkpoint="trial_00000/checkpoint_2")
    assert actions[1:] == [Start("00000", 2, {"x": 1}, "trial_00000/checkpoint_2", 2)]
    stage.report("00000")
    assert stage.trials["00000"].last_result["training_iteration"] == 3
    assert scheduler.heard[-1] == ("result", "00000", 3)


def test_a_trial_that_is_chosen_while_it_still_writes_its_checkpoint_runs_on_afterwards() -> None:
    scheduler = ScriptedScheduler({("00000", 1): PAUSE})
    stage = Stage(ListSearcher([1]), scheduler, slots=2)
    scheduler.resume.append(resumption("00000"))
    stage.report("00000", resumable=True)
    assert stage.states() == {"00000": "PAUSING"}
    assert starts(stage.obey("00000", checkpoint="c1")) == ["00000"]


def test_another_trials_checkpoint_and_configuration() -> None:
    scheduler = ScriptedScheduler({("00001", 1): PAUSE})
    stage = Stage(ListSearcher([1, 2]), scheduler, slots=2)
    for number in (1, 2, 3):
        stage.report("00000", checkpoint=f"c{number}")
    stage.report("00001", checkpoint="d1")
    scheduler.resume.append(resumption("00001", config={"x": 1.1}, checkpoint_of="00000"))
    assert stage.obey("00001")[-1] == Start("00001", 2, {"x": 1.1}, "c3", 3)
    stage.report("00001")
    assert scheduler.heard[-1] == ("result", "00001", 4)
    assert stage.trials["00001"].config == {"x": 1.1}


def resumption(trial_id: str, **more: Any) -> Any:
    return Resumption(trial_id, **more)


@pytest.mark.parametrize("instead", [CONTINUE, STOP])
def test_a_trial_without_checkpoints_is_not_paused(instead: Any) -> None:
    scheduler = ScriptedScheduler({("00000", 1): PAUSE})
    scheduler.instead_of_pause = instead
    stage = Stage(scheduler=scheduler, slots=1)
    assert stage.report("00000").decision == instead
    assert ("cannot pause", "00000") in scheduler.heard


def test_a_trial_that_failed_runs_again_from_its_checkpoint_and_repeats_nothing_to_the_scheduler() -> None:
    scheduler, searcher = ScriptedScheduler({("00000", 3): PAUSE}), ListSearcher([1])
    stage = Stage(searcher, scheduler, slots=1, max_failures=2)
    stage.report("00000", checkpoint="c1")
    stage.report("00000", loss=0.5)
    actions = stage.fail("00000", "Traceback\nValueError: no luck")
    assert actions[-1] == Start("00000", 2, {"x": 1}, "c1", 1)
    assert stage.entries[-1].actions[0].why == "failed (1 of 2 allowed): ValueError: no luck"  # type: ignore[union-attr]
    stage.report("00000", loss=0.25)
    assert stage.trials["00000"].last_result["training_iteration"] == 2
    assert [call for call in scheduler.heard if call[0] == "result"] == [("result", "00000", 1), ("result", "00000", 2)]
    assert searcher.heard == [("result", "00000", 1), ("result", "00000", 2)]
    assert stage.report("00000", resumable=True).decision == PAUSE
    stage.fail("00000", "it could not write")
    assert stage.report("00000").decision == CONTINUE
    assert stage.report("00000", resumable=True) == Answer("00000", "PAUSE", "paused, as before it was lost")
    actions = stage.fail("00000", "Traceback\nOSError: disk full")
    assert stage.states() == {"00000": "ERROR"}
    assert stage.trials["00000"].failures == 3
    assert stage.trials["00000"].error == "Traceback\nOSError: disk full"
    assert closed(actions) is not None


def test_failures_without_end_where_that_is_wanted() -> None:
    stage = Stage(ListSearcher([1]), slots=1, max_failures=-1)
    for _ in range(20):
        assert starts(stage.fail("00000")) == ["00000"]


def test_a_trial_that_fails_while_it_is_stopped_is_not_tried_again() -> None:
    stage = Stage(ListSearcher([1]), ScriptedScheduler({("00000", 1): STOP}), slots=1, max_failures=3)
    stage.report("00000")
    assert closed(stage.fail("00000", "Traceback\nOSError: in its finally block")) is not None
    assert stage.states() == {"00000": "ERROR"}
    assert stage.trials["00000"].why == "OSError: in its finally block"


def test_fail_fast_ends_all_and_leaves_the_others_to_be_restored() -> None:
    stage = Stage(slots=2, fail_fast=True)
    stage.fail("00000")
    assert stage.states() == {"00000": "ERROR", "00001": "STOPPING"}
    end = closed(stage.obey("00001"))
    assert end is not None
    assert (end.why, end.text) == (CloseReason.TRIAL_FAILED, "trial 00000 failed: ValueError: no")
    assert stage.states() == {"00000": "ERROR", "00001": "PENDING"}


def test_what_a_stopper_finds_done_is_complete() -> None:
    scheduler, searcher = ScriptedScheduler(), ListSearcher([1])
    stage = Stage(searcher, scheduler, stopper_of({"training_iteration": 2}), slots=1)
    stage.report("00000")
    answer = stage.report("00000")
    assert (answer.decision, answer.why) == ("STOP", "training_iteration 2 has reached the 2 of stop=")
    stage.obey("00000")
    assert scheduler.heard[1:] == [("result", "00000", 1), ("complete", "00000", 2), ("search finished",)]
    assert searcher.heard == [("result", "00000", 1), ("complete", "00000", False)]


def test_a_stopper_that_waits_for_what_is_never_reported_is_told_of() -> None:
    stage = Stage(ListSearcher([1]), stopper=stopper_of({"acuracy": 0.9}), slots=1)
    stage.report("00000")
    assert said(stage.end("00000")) == ["stop= looks for 'acuracy', which no trial has reported"]


def test_a_stopper_sees_what_functions_return() -> None:
    stage = Stage(ListSearcher([1]), stopper=stopper_of({"training_iteration": 10, "loss": 3.0}), slots=1)
    assert said(stage.end("00000", metrics={"loss": 4.0})) == []
    assert stage.trials["00000"].why == ""


def test_a_stopper_may_end_everything() -> None:
    stage = Stage(stopper=TimeoutStopper(2.5), slots=2)
    assert stage.experiment.wakes_at() == 2.5
    stage.report("00000")
    assert stage.experiment.wakes_at() == 2.5
    stage.tick()
    assert stage.states() == {"00000": "STOPPING", "00001": "STOPPING"}
    stage.obey("00000")
    end = closed(stage.obey("00001"))
    assert end is not None
    assert (end.why, end.text) == (CloseReason.STOPPER, "the 2.5 s of TimeoutStopper are over")
    assert set(stage.states().values()) == {"TERMINATED"}


def test_the_time_budget() -> None:
    stage = Stage(slots=2, time_budget_s=10.0)
    assert stage.experiment.wakes_at() == 10.0
    stage.tick(after=8.5)
    assert stage.states() == {"00000": "RUNNING", "00001": "RUNNING"}
    stage.tick(after=0.5)
    assert stage.states() == {"00000": "STOPPING", "00001": "STOPPING"}
    assert stage.experiment.wakes_at() == pytest.approx(10.7)
    assert stage.report("00000", after=0.1).decision == STOP
    stage.obey("00000")
    assert Interrupt("00001") in stage.entries[-1].actions, "obey() came a second later"
    assert stage.tick() == [], "each is interrupted once"
    end = closed(stage.obey("00001"))
    assert end is not None
    assert (end.why, end.text) == (CloseReason.TIME_BUDGET, "the time budget of 10 s is used up")
    assert set(stage.states().values()) == {"TERMINATED"}


def test_nan_goes_on_or_stops_as_wanted() -> None:
    assert Stage(slots=1).report("00000", loss=math.nan).decision == CONTINUE
    answer = Stage(slots=1, stop_on_nan=True).report("00000", loss=math.nan)
    assert answer == Answer("00000", "STOP", "loss is NaN")


def test_a_metric_that_is_never_reported_ends_the_experiment_and_names_what_was() -> None:
    stage = Stage(slots=2)
    told = stage.tell(Reported("00000", 1, {"accuracy": 0.5, "lost": 1, "timestamp": 5}))
    text = "no trial has reported 'loss'; there is 'accuracy', 'lost'. Type metric='lost', or report 'loss'"
    assert said(told) == [f"trial 00000 is the first to report, and so far {text}"]
    assert said(stage.tell(Reported("00001", 1, {"accuracy": 0.5}))) == []
    stage.end("00000")
    assert stage.states() == {"00000": "ERROR", "00001": "STOPPING"}
    assert stage.trials["00000"].error == f"trial 00000 has ended, and {text}"
    end = closed(stage.obey("00001"))
    assert end is not None
    assert end.why is CloseReason.METRIC_MISSING
    assert text in end.text


def test_a_trial_that_returns_nothing_does_not_end_the_others() -> None:
    stage = Stage(slots=2)
    stage.end("00000")
    stage.report("00001")
    stage.end("00001")
    assert stage.states() == {"00000": "TERMINATED", "00001": "TERMINATED", "00002": "RUNNING"}


def test_trials_that_all_report_nothing_end_in_the_error_about_the_metric() -> None:
    stage = Stage(ListSearcher([1, 2]), slots=1)
    (line,) = said(stage.end("00000"))
    assert line == "trial 00000 has ended without a report: return a dict or call tune.report with 'loss' in it"
    end = closed(stage.end("00001"))
    assert end is not None
    assert end.why is CloseReason.METRIC_MISSING
    assert end.text.startswith("all trials have ended, and no trial has reported 'loss', or anything else: return {'loss': ...}")


def test_what_comes_too_late_changes_nothing() -> None:
    stage = Stage(slots=1, max_failures=1)
    stage.fail("00000")
    before = stage.picture()
    assert stage.tell(Reported("00000", 1, {"loss": 1.0})) == [Answer("00000", "STOP", "this run is over")]
    assert stage.tell(Reported("77777", 1, {"loss": 1.0})) == [Answer("77777", "STOP", "this run is over")]
    assert stage.tell(Ended("00000", 1, metrics={"loss": 0.0})) == []
    assert stage.tell(Failed("00000", 1, "late")) == []
    assert stage.picture() == before


def test_after_the_end_reports_are_answered_and_nothing_else_follows() -> None:
    stage = Stage(ListSearcher([1]), slots=1)
    stage.end("00000", metrics={"loss": 1.0})
    assert stage.tell(Reported("00000", 1, {})) == [Answer("00000", "STOP", "the experiment is over")]
    assert stage.tell(Slots(4)) == []
    assert stage.add(3) == []
    assert stage.experiment.wakes_at() is None


class Broken(ListSearcher):
    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        if trial_id == "00002":
            raise ZeroDivisionError("the searcher's own")
        return super().suggest(trial_id)


def test_what_a_searcher_raises_ends_the_experiment_with_its_traceback() -> None:
    stage = Stage(Broken([1, 2, 3]), slots=2)
    stage.end("00000", metrics={"loss": 1.0})
    assert stage.states() == {"00000": "TERMINATED", "00001": "STOPPING"}
    end = closed(stage.obey("00001"))
    assert end is not None
    assert end.why is CloseReason.ERROR
    assert "ZeroDivisionError: the searcher's own" in end.text
    assert "in suggest" in end.text


class BrokenStopper(Stopper):
    def __call__(self, trial_id: str, result: Any) -> bool:
        raise KeyError("accuracy")


def test_a_report_is_answered_also_when_a_stopper_raises() -> None:
    stage = Stage(stopper=BrokenStopper(), slots=1)
    answer = stage.report("00000")
    assert answer.decision == STOP
    assert "KeyError: 'accuracy'" in answer.why
    end = closed(stage.obey("00000"))
    assert end is not None
    assert "KeyError: 'accuracy'" in end.text


@pytest.mark.parametrize("seed", range(40))
def test_whoever_raises_whenever_every_report_is_answered_and_the_experiment_ends(seed: int) -> None:
    chance = random.Random(seed)
    searcher = faulty(ListSearcher, chance, 0.01)(list(range(12)))
    scheduler = faulty(ScriptedScheduler, chance, 0.01)({("00001", 2): PAUSE, ("00002", 1): STOP, ("00003", 2): PAUSE})
    stopper = faulty(Stopper, chance, 0.01)()
    stage = Stage(searcher, scheduler, stopper, max_failures=1)
    for each in (searcher, scheduler, stopper):
        vars(each)["armed"] = True
    RandomPlay(stage, seed).play(150)
    closed = stage.experiment.closed
    assert closed is not None
    assert closed.why is not CloseReason.ERROR or "ChanceFault" in closed.text


def test_what_the_runners_have_to_say_is_said() -> None:
    assert said(Stage(slots=1).tell(Noticed("waits for a GPU"))) == ["waits for a GPU"]


def test_the_schedulers_lines_are_said() -> None:
    scheduler = ScriptedScheduler()
    stage = Stage(scheduler=scheduler, slots=1)
    scheduler.lines.append("rung 3: 00000 goes on")
    assert said(stage.tick()) == ["rung 3: 00000 goes on"]


def test_metric_and_mode_may_come_from_the_scheduler() -> None:
    experiment = Experiment(ExperimentConfig(ListSearcher(), ASHAScheduler(metric="auc", mode="max")))
    assert (experiment.metric, experiment.mode) == ("auc", "max")
    with pytest.raises(UsageError, match="auc"):
        Experiment(ExperimentConfig(ListSearcher(), ASHAScheduler(metric="auc", mode="max"), metric="loss"))


def test_how_many_places_are_of_use() -> None:
    def most(searcher: ListSearcher, **options: Any) -> int | None:
        return Stage(searcher, **options).experiment.most_at_once()

    assert most(ListSearcher(total=5)) == 5
    assert most(ListSearcher(total=5), max_concurrent=2) == 2
    assert most(ListSearcher(), num_samples=3) == 3
    assert most(ListSearcher()) is None
