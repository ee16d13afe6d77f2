from __future__ import annotations

from typing import Any

import pytest

from nbray.tune.events import CloseReason, Moved, Slots, Start
from nbray.tune.schedulers.scheduler import Resumption
from nbray.tune.trial import TrialState
from tests.tune.stage import PAUSE, ListSearcher, ScriptedScheduler, Stage, closed, said, starts


@pytest.mark.parametrize(("slots", "most", "at_once"), [(2, None, 2), (5, 3, 3), (2, 3, 2), (0, None, 0), (9, None, 4)])
def test_as_many_run_as_fit_and_are_wanted(slots: int, most: int | None, at_once: int) -> None:
    stage = Stage(ListSearcher([1, 2, 3, 4]), max_concurrent=most)
    assert len(starts(stage.tell(Slots(slots)))) == at_once


def test_fewer_places_stop_nobody() -> None:
    stage = Stage(ListSearcher([1, 2, 3, 4]), slots=2)
    assert stage.tell(Slots(1)) == []
    assert starts(stage.end("00000", metrics={"loss": 1.0})) == []
    assert starts(stage.end("00001", metrics={"loss": 1.0})) == ["00002"]


def test_a_scheduler_may_complete_a_configuration_before_it_runs() -> None:
    class Completing(ScriptedScheduler):
        def on_trial_add(self, trial: Any) -> None:
            trial.config.setdefault("momentum", 0.9)

    stage = Stage(ListSearcher([1]), Completing())
    assert stage.tell(Slots(1)) == [Start("00000", 1, {"x": 1, "momentum": 0.9})]


def paused_one(scheduler: ScriptedScheduler, values: tuple[Any, ...] = (1,)) -> Stage:
    """Trial 00000 is told to pause and about to obey; nothing else is at work."""
    scheduler.script[("00000", 1)] = PAUSE
    stage = Stage(ListSearcher(values), scheduler, slots=1)
    stage.report("00000", checkpoint="c1")
    return stage


def test_who_waits_in_vain_is_ended_after_the_scheduler_was_asked() -> None:
    scheduler = ScriptedScheduler()
    stage = paused_one(scheduler)
    actions = stage.obey("00000")
    assert scheduler.heard[-3:] == [("search finished",), ("stall",), ("remove", "00000")]
    assert Moved("00000", TrialState.TERMINATED, "given up, paused by ScriptedScheduler after report 1") in actions
    end = closed(actions)
    assert end is not None
    assert end.why is CloseReason.DONE


def test_a_stall_may_make_the_scheduler_name_somebody() -> None:
    class Naming(ScriptedScheduler):
        def on_stall(self) -> None:
            self.resume.append(Resumption("00000"))

    stage = paused_one(Naming())
    assert starts(stage.obey("00000")) == ["00000"]


def test_a_stall_may_make_it_drop_some_and_then_the_searcher_go_on() -> None:
    class Dropping(ScriptedScheduler):
        def on_stall(self) -> None:
            self.drop.append("00000")

    stage = paused_one(Dropping(), (1, "later", 2))
    assert starts(stage.obey("00000")) == ["00001"]
    assert stage.states()["00000"] == "TERMINATED"


def test_whom_the_scheduler_drops_ends_while_others_run() -> None:
    scheduler = ScriptedScheduler()
    stage = paused_one(scheduler, (1, 2))
    stage.obey("00000")
    scheduler.drop.append("00000")
    stage.report("00001")
    assert stage.states() == {"00000": "TERMINATED", "00001": "RUNNING"}


def test_without_places_nobody_waits_in_vain() -> None:
    scheduler = ScriptedScheduler()
    stage = paused_one(scheduler)
    stage.tell(Slots(0))
    stage.obey("00000")
    assert stage.states() == {"00000": "PAUSED"}
    assert ("stall",) not in scheduler.heard
    assert closed(stage.tell(Slots(1))) is not None


def test_a_searcher_that_has_nothing_though_nothing_runs_is_an_error_and_not_a_wait_for_ever() -> None:
    end = closed(Stage(ListSearcher(["later", 1])).tell(Slots(1)))
    assert end is not None
    assert end.why is CloseReason.ERROR
    assert end.text == (
        "ListSearcher suggested nothing, although no trial was running; it has to return FINISHED when nothing is left to try"
    )


def test_a_searcher_may_have_nothing_while_something_runs() -> None:
    stage = Stage(ListSearcher([1, "later", 2]), slots=2)
    assert list(stage.states()) == ["00000"]
    stage.report("00000")
    assert starts(stage.entries[-1].actions) == ["00001"]


def test_an_experiment_of_nothing_is_over_at_once() -> None:
    end = closed(Stage(ListSearcher([])).tell(Slots(1)))
    assert end is not None
    assert (end.why, end.text) == (CloseReason.DONE, "all trials have ended")


def test_before_there_are_places_nothing_is_over() -> None:
    stage = Stage(ListSearcher([]))
    assert closed(stage.tick()) is None
    assert said(stage.tell(Slots(0))) == []


def test_an_experiment_that_was_paused_before_it_began_waits() -> None:
    stage = Stage()
    stage.ask("pause")
    assert said(stage.tell(Slots(1))) == ["the experiment waits: it was paused by hand; resume it or stop it"]
    assert starts(stage.ask("resume")) == ["00000"]
