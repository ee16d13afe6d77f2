from __future__ import annotations

from nbray.tune.schedulers.scheduler import Rung
from nbray.widgets.elements import Element, markup, texts
from nbray.widgets.picture import picture_of
from nbray.widgets.rung_diagram import MOST_DOTS, drawing
from nbray.widgets.styles import BEST
from tests.widgets.sample import Story, halving, single_reports


def test_the_highest_rung_is_on_top() -> None:
    drawn = drawing(picture_of("e", halving(27)))
    assert drawn is not None
    said = list(texts(drawn))
    assert [text for text in said if text.startswith("at ")] == ["at 9", "at 3", "at 1"]
    assert "accuracy, higher is better" in said
    assert any("of 27 on" in text for text in said)


def test_each_trial_is_a_dot_that_says_whether_it_went_on() -> None:
    story = Story("loss", "min")
    trials = [story.begin({"x": index}) for index in range(3)]
    for index, trial in enumerate(trials):
        story.report(trial, float(index))
    story.view.rungs = [Rung(0, 1, {trial: float(index) for index, trial in enumerate(trials)}, frozenset(trials[:1]), 0.5)]
    drawn = drawing(picture_of("e", story.view))
    assert drawn is not None
    said = set(texts(drawn))
    assert {"trial 0: 0, went on", "trial 1: 1, stayed", "1 of 3 on", "what a trial has to reach now: 0.5"} <= said
    assert markup(drawn).count(BEST) == 2  # the best trial's dot, and the mark


def test_brackets_are_told_apart() -> None:
    story = Story()
    trial = story.begin({})
    story.report(trial, 0.5)
    story.view.rungs = [Rung(bracket, 3, {trial: 0.5}, frozenset(), None) for bracket in (0, 1)]
    drawn = drawing(picture_of("e", story.view))
    assert drawn is not None
    assert {"bracket 0, 3", "bracket 1, 3"} <= set(texts(drawn))


def test_without_rungs_there_is_no_diagram() -> None:
    assert drawing(picture_of("e", single_reports(5))) is None
    story = Story()
    trial = story.begin({})
    story.report(trial, float("nan"))
    story.view.rungs = [Rung(0, 3, {trial: float("nan")}, frozenset(), None)]
    assert drawing(picture_of("e", story.view)) is None


def test_higher_rungs_lie_higher_and_crowds_are_thinned_from_the_middle() -> None:
    story = Story()
    trials = [story.begin({"x": index}) for index in range(3 * MOST_DOTS)]
    values = {trial: float(index) for index, trial in enumerate(trials)}
    story.report(trials[0], 0.0)
    story.view.rungs = [Rung(0, level, values, frozenset(), None) for level in (1, 9, 3)]
    drawn = drawing(picture_of("e", story.view))
    assert drawn is not None
    heights = {
        child.children[0]: float(child.attributes["y"])
        for child in drawn.children if isinstance(child, Element) and child.tag == "text"
    }  # fmt: skip
    assert heights["at 9"] < heights["at 3"] < heights["at 1"]
    said = set(texts(drawn))
    assert {"trial 0: 0, stayed", f"trial {3 * MOST_DOTS - 1}: {3 * MOST_DOTS - 1}, stayed"} <= said
    assert f"trial {3 * MOST_DOTS // 2}: {3 * MOST_DOTS // 2}, stayed" not in said
