from __future__ import annotations

from nbray.widgets.elements import markup
from nbray.widgets.learning_curves import drawing, lines_of
from nbray.widgets.picture import picture_of
from tests.widgets.sample import Story, halving, single_reports


def test_the_best_is_drawn_last_and_runs_above_the_others() -> None:
    lines = lines_of(picture_of("e", halving(running=3)))
    kinds = [stroke.kind for stroke in lines.strokes]
    assert kinds[-1] == "best"
    assert set(kinds) == {"ended", "stopped", "running", "best"}
    assert kinds.index("running") > kinds.index("stopped")


def test_single_reports_show_the_best_so_far() -> None:
    lines = lines_of(picture_of("e", single_reports(30)))
    front = lines.strokes[0]
    assert (lines.title, front.line, front.label) == ("Results", None, "best so far")
    heights = [y for _, y in front.points]
    assert heights == sorted(heights)
    assert heights[-1] == max(stroke.points[-1][1] for stroke in lines.strokes)


def test_less_is_better_where_it_is() -> None:
    story = Story("loss", "min")
    for value in (3.0, 1.0, 2.0):
        story.report(story.begin({"x": value}), value)
    front = lines_of(picture_of("e", story.view)).strokes[0]
    assert [y for _, y in front.points] == [3.0, 3.0, 1.0, 1.0, 1.0]


def test_before_the_first_report_there_is_nothing() -> None:
    story = Story()
    story.begin({"x": 1})
    assert lines_of(picture_of("e", story.view)).strokes == []


def test_each_line_says_which_trial_it_is() -> None:
    drawn = markup(drawing(lines_of(picture_of("e", halving(5)))))
    assert all(f"<title>trial {number}: " in drawn for number in range(5))


def test_the_best_and_each_end_are_marked() -> None:
    drawn = markup(drawing(lines_of(picture_of("e", halving(5)))))
    assert drawn.count("<circle") == 5
    assert drawn.count('r="4"') == 1
