from __future__ import annotations

import math

from nbray.tune.events import CloseReason, Reported
from nbray.tune.trial import TrialState
from nbray.widgets.learning_curves import lines_of
from nbray.widgets.picture import MOST_CURVES, MOST_LINES, MOST_POINTS, MOST_RESULTS, picture_of
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
    assert MOST_RESULTS < len(picture.curves) < 2 * MOST_RESULTS
    assert len(picture_of("e", halving(200)).curves) == MOST_CURVES


def test_who_was_ever_the_best_is_among_the_results_that_are_drawn() -> None:
    picture = picture_of("e", single_reports(1000, fail=0))
    front = lines_of(picture).strokes[0]
    values = [curve.points[-1][1] for curve in picture.curves]
    assert front.points[-1][1] == max(values) == (picture.best.value if picture.best else None)


def test_trials_at_work_have_their_curves_wherever_they_rank() -> None:
    story = Story()
    for index in range(100):
        trial = story.begin({"x": index})
        for step in range(2):
            story.report(trial, float(100 - index + step))
        if index < 99:
            story.end(trial)
    numbers = [curve.line.number for curve in picture_of("e", story.view).curves]
    assert len(numbers) == MOST_CURVES
    assert {0, 1, 99} <= set(numbers)


def test_a_metric_within_a_report() -> None:
    story = Story("eval/loss", "min")
    for value in (3.0, 1.0):
        story.tell(Reported(story.begin({"x": value}), 1, {"eval": {"loss": value}}), after=0.1)
    picture = picture_of("e", story.view)
    assert [line.value for line in picture.lines] == [1.0, 3.0]


def test_without_a_metric_the_first_number_is_shown_and_nothing_is_best() -> None:
    story = Story()
    story.view.metric = None
    for value in (3.0, 1.0):
        trial = story.begin({"x": value})
        for step in range(3):
            story.tell(Reported(trial, 1, {"note": "a", "loss": value + step}), after=0.1)
    picture = picture_of("e", story.view)
    assert (picture.metric, picture.best) == ("loss", None)
    assert [line.value for line in picture.lines] == [5.0, 3.0]
    assert [curve.points for curve in picture.curves] == [((1, 3), (2, 4), (3, 5)), ((1, 1), (2, 2), (3, 3))]


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
