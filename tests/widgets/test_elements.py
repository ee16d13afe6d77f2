from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from urllib.parse import unquote

from nbray.widgets.elements import as_image, as_lists, element, markup, texts


def test_what_foreign_text_says_stays_text() -> None:
    tree = element("div", "<script>alert(1)</script>", title='"><img src=x onerror=alert(1)>')
    assert markup(tree) == (
        '<div title="&quot;&gt;&lt;img src=x onerror=alert(1)&gt;">&lt;script&gt;alert(1)&lt;/script&gt;</div>'
    )


def test_markup_has_no_buttons_and_nothing_for_the_script() -> None:
    tree = element("td", element("button", "stop", data_ask="stop"), "0.9", data_trial="00001")
    assert markup(tree) == "<td>0.9</td>"


def test_classes_become_styles_where_they_are_asked_for() -> None:
    tree = element("b", "x", class_="big", style="color:red")
    assert markup(tree) == '<b class="big" style="color:red">x</b>'
    assert markup(tree, lambda classes: f"font:{classes}") == '<b style="font:big;color:red">x</b>'


def test_what_is_none_is_left_out() -> None:
    assert element("p", None, "a", title=None) == ("p", {}, ("a",))


def test_coordinates_are_short() -> None:
    assert element("circle", cx=1.23456, cy=2.0, r=3).attributes == {"cx": "1.2", "cy": "2", "r": "3"}


def test_the_page_gets_lists() -> None:
    assert as_lists(element("a", element("b"), "c", data_key="1")) == ["a", {"data-key": "1"}, ["b", {}], "c"]


def test_an_image_is_a_whole_drawing() -> None:
    hint = element("title", "only for a pointer")
    image = as_image(element("svg", element("text", "a < b 'c' \"d\" #1 100 %", hint), viewBox="0 0 2 1"), "Rungs")
    drawn = unquote(image.attributes["src"].removeprefix("data:image/svg+xml,"))
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "".join(root.itertext()) == "a < b 'c' \"d\" #1 100 %"
    assert image.attributes["alt"] == "Rungs"


def test_an_image_is_whole_whatever_its_names_are() -> None:
    name = "don't \0 \x1b[31m \ud800 \uffff \"<b>\" 'x' 🦊"
    image = as_image(element("svg", element("text", name), aria_label=name, viewBox="0 0 2 1"), name)
    root = ElementTree.fromstring(unquote(image.attributes["src"].removeprefix("data:image/svg+xml,")))
    shown = "don't � �[31m � � \"<b>\" 'x' 🦊"
    assert (root.attrib["aria-label"], "".join(root.itertext())) == (shown, shown)


def test_texts_come_in_their_order() -> None:
    assert list(texts(element("a", "1", element("b", "2"), "3"))) == ["1", "2", "3"]
