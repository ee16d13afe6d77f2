from __future__ import annotations

from nbray.widgets.elements import Element, texts
from nbray.widgets.parallel_coordinates import drawing
from nbray.widgets.picture import picture_of
from nbray.widgets.styles import BEST
from tests.widgets.sample import Story, halving, single_reports


def paths(tree: Element) -> list[Element]:
    found = [tree] if tree.tag == "path" else []
    for child in tree.children:
        found += paths(child) if isinstance(child, Element) else []
    return found


def groups(tree: Element) -> list[Element]:
    return [child for child in tree.children if isinstance(child, Element) and child.children and paths(child)]


def test_an_axis_for_each_parameter_and_the_metric() -> None:
    drawn = drawing(picture_of("e", halving()))
    assert drawn is not None
    assert {"lr", "hidden", "dropout", "net/activation", "accuracy", "tanh", "None", "0.001"} <= set(texts(drawn))
    assert len(paths(drawn)) == 27


def test_the_best_is_above_all() -> None:
    drawn = drawing(picture_of("e", single_reports()))
    assert drawn is not None
    assert [BEST in group.attributes["style"] for group in groups(drawn)].index(True) == len(groups(drawn)) - 1
    assert len(paths(groups(drawn)[-1])) == 1


def test_a_parameter_that_a_trial_has_not_is_passed_over() -> None:
    story = Story()
    for config in ({"a": 1, "b": 2}, {"a": 2}, {"a": 3, "b": 4}):
        story.report(story.begin(config), 0.5)
    drawn = drawing(picture_of("e", story.view))
    assert drawn is not None
    assert sorted(path.attributes["d"].count("C") for path in paths(drawn)) == [1, 2, 2]


def test_values_of_every_kind_have_a_place() -> None:
    story = Story()
    for value in (None, True, "auto", 3, 2.5, [1, 2], float("nan")):
        story.report(story.begin({"a": value}), 0.5)
    drawn = drawing(picture_of("e", story.view))
    assert drawn is not None
    assert len(paths(drawn)) == 7


def test_one_trial_or_one_configuration_is_no_picture() -> None:
    story = Story()
    story.report(story.begin({"a": 1}), 0.5)
    assert drawing(picture_of("e", story.view)) is None
    story.report(story.begin({"a": 1}), 0.6)
    assert drawing(picture_of("e", story.view)) is None


def test_many_kinds_have_few_marks() -> None:
    story = Story()
    for value in range(60):
        story.report(story.begin({"a": f"kind{value:02d}"}), float(value))
    drawn = drawing(picture_of("e", story.view))
    assert drawn is not None
    assert 10 <= sum(said.startswith("kind") for said in texts(drawn)) <= 16
