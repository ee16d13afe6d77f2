from __future__ import annotations

from nbray.tune.events import Ended, Moved
from nbray.widgets.elements import Element, markup, texts
from nbray.widgets.picture import picture_of
from nbray.widgets.trials_table import table
from tests.widgets.sample import Story, halving, single_reports


def rows(tree: Element | None) -> list[Element]:
    assert tree is not None
    found: list[Element] = []

    def collect(each: Element | str) -> None:
        if not isinstance(each, str):
            if "data-key" in each.attributes:
                found.append(each)
            for child in each.children:
                collect(child)

    collect(tree)
    return found


def asks(row: Element) -> list[str]:
    return [child.attributes["data-ask"] for cell in row.children if isinstance(cell, Element)
            for child in cell.children if isinstance(child, Element) and child.tag == "button"]  # fmt: skip


def test_best_first() -> None:
    picture = picture_of("e", halving())
    shown = rows(table(picture, 10))
    assert [row.attributes["data-key"] for row in shown] == [line.trial_id for line in picture.lines[:10]]


def test_who_is_at_work_is_in_the_table_wherever_it_ranks() -> None:
    story = Story("loss", "min")
    for value in range(20):
        trial = story.begin({"x": value})
        story.report(trial, float(value))
        if value != 19:
            story.end(trial)
    shown = [row.attributes["data-key"] for row in rows(table(picture_of("e", story.view), 5))]
    assert shown == ["00000", "00001", "00002", "00003", "00019"]


def test_buttons_fit_the_state() -> None:
    story = Story()
    running, paused, done = (story.begin({"x": index}) for index in range(3))
    story.report(running, 0.5)
    story.report(paused, 0.4, "PAUSE", "made room")
    story.tell(Ended(paused, 1, obeyed=True), Moved(paused, "PAUSED", "made room"))
    story.report(done, 0.3)
    story.end(done)
    found = {row.attributes["data-key"]: asks(row) for row in rows(table(picture_of("e", story.view)))}
    assert found == {running: ["pause", "stop"], paused: ["resume", "stop"], done: []}
    over = rows(table(picture_of("e", story.close())))
    assert [asks(row) for row in over] == [[], [], []]


def test_a_cell_for_each_column_in_every_row() -> None:
    for view in (halving(), single_reports(), halving(running=2)):
        tree = table(picture_of("e", view))
        assert tree is not None
        assert len({markup(row).count("<td") for row in rows(tree)}) == 1


def test_why_a_trial_failed_is_text() -> None:
    said = list(texts(table(picture_of("e", single_reports()), 100) or ""))
    assert "ValueError: <b>max_depth</b> must be positive" in said


def test_what_is_not_shown_is_counted() -> None:
    assert "and 35 more trials" in list(texts(table(picture_of("e", single_reports()), 5) or ""))


def test_before_the_first_trial_there_is_no_table() -> None:
    assert table(picture_of("e", Story().view)) is None


def test_reports_are_counted_where_there_is_more_than_one() -> None:
    assert "reports" in list(texts(table(picture_of("e", halving())) or ""))
    assert "reports" not in list(texts(table(picture_of("e", single_reports())) or ""))


def test_few_rows_go_to_the_best_before_those_that_wait() -> None:
    story = Story()
    for value in range(6):
        trial = story.begin({"x": value})
        if value < 4:
            story.report(trial, float(value))
            story.end(trial)
        else:
            story.tell(Ended(trial, 1), Moved(trial, "PENDING", "it failed, and is tried again"))
    assert [row.attributes["data-key"] for row in rows(table(picture_of("e", story.view), 3))] == ["00003", "00002", "00001"]
