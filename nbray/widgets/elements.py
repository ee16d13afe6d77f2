"""Owns trees of elements, HTML and SVG alike: made by pure code, drawn by the page's script, or written out for a saved notebook.

Text is text: `markup` escapes it, and the page makes text nodes of it, so nothing that a user's code says becomes an element.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

from nbray.widgets.styles import without_variables

Child = "Element | str"
VOID = frozenset({"br", "img"})
_NO_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Characters that no drawing may have: one of them, and none of it is seen."""


class Element(NamedTuple):
    """One element with its attributes and what is inside."""

    tag: str
    attributes: dict[str, str]
    children: tuple[Element | str, ...]


def element(tag: str, *children: Element | str | None, **attributes: object) -> Element:
    """An element; children and attributes that are None are left out. `class_` is `class`, `stroke_width` is `stroke-width`.

    >>> markup(element("td", "a < b", class_="value"))
    '<td class="value">a &lt; b</td>'
    """
    given = {name.rstrip("_").replace("_", "-"): _text(value) for name, value in attributes.items() if value is not None}
    return Element(tag, given, tuple(child for child in children if child is not None))


def spaced(*children: Element | str | None) -> list[Element | str]:
    """Children with spaces between, which tell them apart where a page takes no styles; with styles these are not seen.

    >>> spaced("Done", None, "3 items")
    ['Done', ' ', '3 items']
    """
    known = [child for child in children if child is not None]
    return [part for child in known for part in (child, " ")][:-1]


def markup(tree: Element | str, style_of: Callable[[str], str] = lambda classes: "") -> str:
    """HTML without a script: buttons and what only the script reads are left out, classes become styles.

    `style_of` gives the style for the value of a `class` attribute; with "" the class stays.
    """
    if isinstance(tree, str):
        return html.escape(tree)
    if tree.tag == "button":
        return ""
    attributes = dict(tree.attributes)
    style = style_of(attributes.get("class", ""))
    if style:
        del attributes["class"]
        attributes["style"] = style + (";" + attributes["style"] if "style" in attributes else "")
    written = "".join(f' {name}="{_quoted(value)}"' for name, value in attributes.items() if not name.startswith("data-"))
    if tree.tag in VOID:
        return f"<{tree.tag}{written}>"
    inside = "".join(markup(child, style_of) for child in tree.children)
    return f"<{tree.tag}{written}>{inside}</{tree.tag}>"


def as_lists(tree: Element | str) -> Any:
    """The tree as lists and dicts, as the page's script takes it: [tag, attributes, child, ...].

    >>> as_lists(element("b", "3", class_="value"))
    ['b', {'class': 'value'}, '3']
    """
    return tree if isinstance(tree, str) else [tree.tag, tree.attributes, *map(as_lists, tree.children)]


def as_image(svg: Element, description: str) -> Element:
    """The drawing as an image that carries its data: it outlives pages that let no inline SVG pass.

    Nobody can point at a part of it, so what its parts say to the pointer is left out.
    """
    quiet = _without_titles(svg)
    written = markup(Element(quiet.tag, {**quiet.attributes, "xmlns": "http://www.w3.org/2000/svg"}, quiet.children))
    shown = _NO_XML.sub("\N{REPLACEMENT CHARACTER}", without_variables(written).replace("'", "&apos;").replace('"', "'"))
    data = quote(shown, safe="/'=:;,.()-+*!@$&?")
    return element("img", src=f"data:image/svg+xml,{data}", alt=description, style="width:100%;height:auto;display:block")


def _without_titles(tree: Element) -> Element:
    kept = (child for child in tree.children if isinstance(child, str) or child.tag != "title")
    return tree._replace(children=tuple(child if isinstance(child, str) else _without_titles(child) for child in kept))


def texts(tree: Element | str) -> Iterable[str]:
    """All its texts, in their order."""
    if isinstance(tree, str):
        yield tree
    else:
        for child in tree.children:
            yield from texts(child)


def _quoted(value: str) -> str:
    """A value for double quotes; single ones stay, of which the data of images are full."""
    return html.escape(value, quote=False).replace('"', "&quot;")


def _text(value: object) -> str:
    """Coordinates need no more than a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
