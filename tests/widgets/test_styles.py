from __future__ import annotations

import re

from nbray.widgets import tune_card
from nbray.widgets.elements import Element
from nbray.widgets.learning_curves import lines_of
from nbray.widgets.picture import picture_of
from nbray.widgets.styles import STYLES, shade, style_of, style_sheet
from tests.widgets import sample


def test_every_class_of_a_card_has_its_style() -> None:
    worn: set[str] = set()

    def collect(tree: Element | str) -> None:
        if not isinstance(tree, str):
            worn.update(tree.attributes.get("class", "").split())
            for child in tree.children:
                collect(child)

    picture = picture_of("x", sample.halving(running=3))
    for section in tune_card.sections(picture, lines_of(picture), drawn_live=False).values():
        collect(section)
    assert worn <= set(STYLES)
    assert len(worn) > 15


def test_the_sheet_leaves_the_colour_to_the_card() -> None:
    assert "var(--nbray-color,#8c8c8c)" in style_sheet()
    assert "{color}" not in style_sheet()
    assert "border-left:3px solid red" in style_of("nbray-card", "red")


def test_values_are_shaded_between_two_colours() -> None:
    assert shade(-1.0) == shade(0.0)
    assert shade(2.0) == shade(1.0)
    assert re.fullmatch("#[0-9a-f]{6}", shade(0.37))
