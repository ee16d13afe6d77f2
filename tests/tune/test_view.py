from __future__ import annotations

import math

from nbray.tune.events import Close, CloseReason, Closing, Discard, Entry, Reopened, Say, Slots
from nbray.tune.retention import Retention
from nbray.tune.schedulers.scheduler import Resumption
from nbray.tune.trial import TrialState
from nbray.tune.view import View
from tests.tune.stage import PAUSE, ListSearcher, ScriptedScheduler, Stage


def three_trials(mode: str = "min") -> Stage:
    stage = Stage(ListSearcher([1, 2, 3, 4, 5], total=5), slots=5, mode=mode)
    for number, loss in enumerate([0.5, 0.25, math.nan, 0.75]):
        stage.report(f"0000{number}", loss=loss)
    stage.report("00004", other=1)
    return stage


def test_the_best_come_first_and_what_is_no_number_last() -> None:
    ids = [trial.trial_id for trial in three_trials().view.ranked()]
    assert ids == ["00001", "00000", "00003", "00002", "00004"]
    assert [trial.trial_id for trial in three_trials("max").view.ranked()] == ["00003", "00000", "00001", "00002", "00004"]
    assert three_trials().view.ranked("other", "max")[0].trial_id == "00004"


def test_the_best() -> None:
    best = three_trials().view.best
    assert best is not None
    assert best.trial_id == "00001"
    stage = Stage(slots=2)
    assert stage.view.best is None
    stage.report("00000", loss=math.nan)
    assert stage.view.best is None


def test_counts_total_and_time() -> None:
    stage = Stage(ListSearcher([1, 2, 3, 4], total=4), slots=2)
    assert stage.view.total == 4
    stage.add(7)
    stage.ask("clone", "00000")
    assert stage.view.total == 6, "with those that were added by hand"
    stage.end("00000", metrics={"loss": 1.0})
    assert stage.view.counts() == {TrialState.RUNNING: 2, TrialState.PENDING: 1, TrialState.TERMINATED: 1}
    assert (stage.view.slots, stage.view.now, stage.view.number) == (2, 4.0, 4)
    assert stage.view.trials["00002"].seconds_until(6.0) == 2.0
    assert stage.view.trials["00000"].seconds_until(6.0) == 3.0
    assert View("loss", "min").total is None


def test_history_and_curve() -> None:
    stage = Stage(slots=1)
    for loss in (3.0, 1.0, 2.0):
        stage.report("00000", loss=loss)
    stage.report("00000", other=4)
    record = stage.view.trials["00000"]
    assert record.curve == [(1, 3.0), (2, 1.0), (3, 2.0), (4, None)]
    assert [result["training_iteration"] for result in record.history] == [1, 2, 3, 4]
    assert record.value("loss", "min") == 2.0, "the last that there is"
    assert (record.value("loss", "min", "all"), record.value("loss", "max", "all")) == (1.0, 3.0)
    assert (record.value("other", "min"), record.value("none", "min", "all")) == (4.0, None)


def test_nan_counts_only_where_there_is_nothing_else() -> None:
    stage = Stage(slots=1)
    stage.report("00000", loss=math.nan)
    value = stage.view.trials["00000"].value("loss", "min", "all")
    assert value is not None
    assert math.isnan(value)
    stage.report("00000", loss=2.0)
    assert stage.view.trials["00000"].value("loss", "max", "all") == 2.0


def test_reports_that_are_made_anew_take_the_place_of_the_first_ones() -> None:
    stage = Stage(ListSearcher([1]), slots=1, max_failures=1)
    stage.report("00000", loss=3.0, checkpoint="c1")
    stage.report("00000", loss=2.0)
    stage.fail("00000")
    stage.report("00000", loss=2.5)
    record = stage.view.trials["00000"]
    assert record.curve == [(1, 3.0), (2, 2.5)]
    assert (record.attempt, record.failures, record.error) == (2, 1, "Traceback\nValueError: no")


def test_checkpoints_with_their_reports_until_they_are_discarded() -> None:
    stage = Stage(ListSearcher([1]), slots=1, keep=Retention(num_to_keep=2))
    for number in (1, 2, 3):
        stage.report("00000", loss=float(number), checkpoint=f"c{number}")
    assert stage.entries[-1].actions[-1] == Discard("c1")
    record = stage.view.trials["00000"]
    assert [(path, report["loss"]) for path, report in record.checkpoints] == [("c2", 2.0), ("c3", 3.0)]
    assert record.checkpoint == "c3"


def test_another_configuration_on_the_way() -> None:
    scheduler = ScriptedScheduler({("00000", 1): PAUSE})
    stage = Stage(ListSearcher([1]), scheduler, slots=1)
    stage.report("00000", checkpoint="c1")
    scheduler.resume.append(Resumption("00000", {"x": 1.5}))
    stage.obey("00000")
    assert stage.view.trials["00000"].config == {"x": 1.5}
    assert stage.view.trials["00000"].born == 1.0


def test_lines_and_the_end() -> None:
    view = View("loss", "min")
    view.fold_all([
        Entry(1, 0.0, Slots(1), [Say("one"), Say("two")]), Entry(2, 1.0, Slots(1), [Closing(CloseReason.STOPPED, "by hand")]),
    ])  # fmt: skip
    assert view.lines == ["one", "two"]
    assert (view.closed, view.closing) == (None, Closing(CloseReason.STOPPED, "by hand"))
    view.fold(Entry(3, 2.0, Slots(1), [Close(CloseReason.STOPPED, "by hand")]))
    assert view.closed == Close(CloseReason.STOPPED, "by hand")
    view.fold(Entry(4, 2.0, Reopened(), []))
    assert [view.closed, view.closing, view.slots] == [None, None, 0]


def test_a_trial_that_has_ended_is_done() -> None:
    stage = Stage(slots=1)
    stage.report("00000", loss=1.0)
    assert stage.view.trials["00000"].last_result["done"] is False
    stage.end("00000")
    assert stage.view.trials["00000"].last_result["done"] is True
    assert repr(stage.view.trials["00000"]) == "Trial(00000, TERMINATED, 1 reports)"
