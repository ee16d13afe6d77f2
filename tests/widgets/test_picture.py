from __future__ import annotations

import math

from nbray.tune.events import CloseReason
from nbray.tune.trial import TrialState
from nbray.widgets.picture import MOST_CURVES, MOST_LINES, MOST_POINTS, picture_of
from tests.widgets.sample import Story, halving, single_reports


def test_the_best_comes_first_and_nan_with_nothing_last() -> None:
    story = Story("loss", "min")
    for value in (3.0, math.nan, 1.0, None, 2.0):
        trial = story.begin({"x": value})
        if value is not None:
            story.report(trial, value)
    picture = picture_of("e", story.view)
    assert [line.value for line in picture.lines] == [1.0, 2.0, 3.0, None, None]
    assert picture.best is not None
    assert picture.best.number == 2


def test_what_all_share_is_said_once() -> None:
    picture = picture_of("e", halving(9))
    assert list(picture.varied) == ["lr", "hidden", "dropout", "net/activation"]
    assert picture.fixed == {"solver": "adam"}


def test_a_lone_trial_has_parameters_too() -> None:
    story = Story()
    story.report(story.begin({"x": 1}), 0.5)
    assert list(picture_of("e", story.view).varied) == ["x"]


def test_a_parameter_of_some_trials_differs() -> None:
    story = Story()
    for config in ({"kind": "a", "depth": 3}, {"kind": "a"}):
        story.report(story.begin(config), 0.5)
    picture = picture_of("e", story.view)
    assert (list(picture.varied), dict(picture.fixed)) == (["depth"], {"kind": "a"})


def test_who_was_stopped_early_is_told_from_who_ran_on() -> None:
    lines = {line.number: line for line in picture_of("e", halving()).lines}
    longest = max(line.iteration for line in lines.values())
    assert {line.cut for line in lines.values() if line.iteration == longest} == {False}
    assert {line.cut for line in lines.values() if line.iteration < longest} == {True}


def test_a_failure_says_the_last_line_of_its_traceback() -> None:
    failed = [line for line in picture_of("e", single_reports()).lines if line.state is TrialState.ERROR]
    assert [line.why for line in failed] == ["ValueError: <b>max_depth</b> must be positive"] * 2


def test_results_of_one_report_each_are_no_curves() -> None:
    assert picture_of("e", single_reports()).single
    assert not picture_of("e", halving()).single


def test_a_thousand_trials_fit() -> None:
    view = single_reports(1000)
    picture = picture_of("e", view)
    assert (len(picture.lines), picture.hidden, picture.trials) == (MOST_LINES, 1000 - MOST_LINES, 1000)
    assert len(picture.curves) == MOST_CURVES


def test_a_long_curve_keeps_its_ends() -> None:
    story = Story()
    trial = story.begin({})
    for step in range(1000):
        story.report(trial, step / 1000)
    [curve] = picture_of("e", story.view).curves
    assert len(curve.points) == MOST_POINTS
    assert (curve.points[0][0], curve.points[-1]) == (1.0, (1000.0, 0.999))


def test_the_clock_goes_on_for_trials_at_work() -> None:
    story = Story()
    trial = story.begin({})
    story.report(trial, 0.5)
    [line] = picture_of("e", story.view, elapsed=story.now + 10).lines
    assert line.seconds == 10 + story.now


def test_why_it_is_over() -> None:
    assert picture_of("e", single_reports()).why == ""
    story = Story()
    assert picture_of("e", story.close("the time of 60 s is up", CloseReason.TIME_BUDGET)).why == "the time of 60 s is up"
    assert picture_of("e", halving(running=2), left="the kernel was restarted").why == "the kernel was restarted"
