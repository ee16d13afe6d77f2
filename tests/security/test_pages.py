"""Foreign text stays text in all HTML that nbray writes: no element, no attribute, no request comes of it.

What a real browser makes of the same pages is in `tests/browser/test_hostile_names.py`.
"""

from __future__ import annotations

import ast
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import CodeType, FrameType
from typing import Any
from urllib.parse import unquote

import pytest

from nbray.widgets.elements import Element
from nbray.wording import NO_MATHEMATICS
from tests.security.drawn import fragments, trees
from tests.security.hostile import HOSTILE, tamed

ROOT = Path(__file__).parents[2]
SAID = frozenset({"title", "alt", "aria-label", "name", "src", "data-key", "data-trial", "data-of"})
"""Attributes whose values may be foreign."""
ALLOWED = SAID | {
    "style", "class", "role", "type", "checked", "aria-valuenow", "aria-valuemin", "aria-valuemax", "border", "scoped", "viewBox",
    "data-slot", "data-ask", "viewbox", "width", "height", "d", "fill", "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r",
    "text-anchor", "transform",
}  # fmt: skip
PASSED_ON = {
    "nbray/notebook/publisher.py:Publisher._show_card": "card_html",
    "nbray/notebook/output.py:OutputBuffer.by_rank": "tabs_html",
    "nbray/notebook/charts.py:PlotChart._publish": "series_chart.static_html",
    "nbray/notebook/tuning.py:TuneCard._publish": "tune_card.static_html",
    "nbray/widgets/live_card.py:LiveCard.bundle": "what the two above hand over",
}
"""Functions that send HTML which others have drawn: whose."""
MADE_FOR_BOKEH = {
    "nbray/widgets/series_figure.py:figure_json": "a template without a foreign text; BokehJS escapes what it fills in",
    "nbray/widgets/curves_figure.py:figure_json": "the same",
}


class Structure(HTMLParser):
    """The elements of a page with their attributes, and what these say where that is never foreign."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[Any, ...]] = []
        self.images: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert set(names) <= ALLOWED, (tag, attrs)
        assert len(names) == len(set(names)), (tag, attrs)
        self.found.append((tag, names, [value for name, value in attrs if name not in SAID]))
        for name, value in attrs:
            if name == "src":
                self._image(value or "")

    def _image(self, address: str) -> None:
        kind, _, data = address.partition(",")
        assert kind in ("data:image/svg+xml", "data:image/png;base64"), address
        if kind == "data:image/svg+xml":
            root = ET.fromstring(unquote(data))
            self.images.append(str([(each.tag, list(each.attrib)) for each in root.iter()]))

    def handle_endtag(self, tag: str) -> None:
        self.found.append(("/", tag))

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", data))

    def handle_decl(self, decl: str) -> None:
        self.found.append(("declaration", decl))

    def handle_pi(self, data: str) -> None:
        self.found.append(("instruction", data))

    def unknown_decl(self, data: str) -> None:
        self.found.append(("declaration", data))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_text_makes_the_page_that_a_tame_one_makes(text: str) -> None:
    hostile, tame = fragments(text), fragments(tamed(text))
    for name, html in hostile.items():
        found, expected = Structure(html), Structure(tame[name])
        assert found.found == expected.found, name
        assert found.images == expected.images, name


class Unshielded(HTMLParser):
    """The texts with a dollar that a page takes for mathematics."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._open: list[tuple[str, bool]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("input", "img", "br"):
            self._open.append((tag, ("class", NO_MATHEMATICS) in attrs or tag in ("pre", "code")))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if "$" in data and not any(shields for _, shields in self._open):
            self.found.append(data)


def test_pages_take_no_name_for_mathematics() -> None:
    """But what a cell of ranks displayed as LaTeX, and what pandas shows; and what comes into a `pre` by others."""
    found = {name: Unshielded(html).found for name, html in fragments("$x$").items()}
    assert {name: set(texts) for name, texts in found.items() if texts} == {
        "tabs of ranks": {"$x$"}, "handles of frames": {"$x$"}, "output with colours": {"$x$"}
    }  # fmt: skip
    assert len(found["tabs of ranks"]) == 2, "one for each rank"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_live_card_is_made_of_the_same_elements(text: str) -> None:
    found, expected = list(_elements(trees(text))), list(_elements(trees(tamed(text))))
    assert found == expected
    assert {name for _, names, _ in found for name in names} <= ALLOWED


def _elements(found: Iterator[Element | str] | tuple[Element | str, ...] | Iterator[Element]) -> Iterator[tuple[Any, ...]]:
    for tree in found:
        if isinstance(tree, Element):
            yield tree.tag, list(tree.attributes), [value for name, value in tree.attributes.items() if name not in SAID]
            yield from _elements(tree.children)


def test_the_page_s_script_makes_text_of_text() -> None:
    script = (ROOT / "nbray" / "widgets" / "card.js").read_text()
    for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(", "createContextualFragment"):
        assert word not in script
    assert script.count("createElement(tree[0])") == 1
    assert script.count("createTextNode(tree)") == 1


# -------------------------------------------------------------------- nothing is left out


def test_every_function_that_writes_html_is_tried() -> None:
    entered = _entered()
    writers = {name for path in sorted((ROOT / "nbray").rglob("*.py")) for name in _writers(path)}
    assert len(writers) > 40
    missing = writers - entered - set(PASSED_ON) - set(MADE_FOR_BOKEH)
    assert missing == set(), "draw these in tests/security/drawn.py, or say in PASSED_ON whose HTML they send"
    assert (set(PASSED_ON) | set(MADE_FOR_BOKEH)) <= writers, "these write no HTML any more"


SAMPLE = '''
"""Text: <b>."""
class View:
    def _repr_html_(self):
        return ""

def one(name):
    """A <b>."""
    return f"<td>{name}"

def two(tree):
    return markup(tree)

def three(x):
    return {"text/html": x}

def none(x):
    """A <b>."""
    return f"<{x} remote>", x < 3
'''


def test_such_a_function_is_recognised(tmp_path: Path) -> None:
    source = tmp_path / "view.py"
    source.write_text(SAMPLE)
    assert {name.rpartition(":")[2] for name in _writers(source)} == {"View._repr_html_", "one", "two", "three"}


@cache
def _entered() -> set[str]:
    """The functions of nbray that run while all is drawn."""
    codes: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            codes.add(frame.f_code)

    sys.setprofile(note)
    try:
        fragments("a < b")
        list(trees("a < b"))
    finally:
        sys.setprofile(None)
    return {_name(Path(code.co_filename), code.co_qualname) for code in codes if code.co_filename.startswith(str(ROOT / "nbray"))}


def _name(path: Path, function: str) -> str:
    place = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    return f"{place}:{function}"


def _writers(path: Path) -> Iterator[str]:
    """The functions of a file that write HTML, or say that something is HTML."""
    yield from (_name(path, name) for name in _among(ast.parse(path.read_text()), ""))


def _among(node: ast.AST, prefix: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield from _among(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            if _writes_html(child):
                yield f"{prefix}{child.name}"
        else:
            yield from _among(child, prefix)


def _writes_html(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if function.name.startswith("_repr_") and function.name not in ("_repr_png_", "_repr_pretty_"):
        return True
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return any(_is_html(node) for statement in body for node in ast.walk(statement))


_TAG = re.compile(
    "<(a|b|br|button|circle|code|details|div|em|g|h[1-6]|i|img|input|label|li|line|ol|p|path|pre|rect|script|section|small|span|"
    "strong|style|summary|svg|table|tbody|td|text|th|thead|title|tr|ul)( |>|$)"
)


def _is_html(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        return name in ("markup", "as_image", "element")
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return False
    text = node.value
    return text == "text/html" or _TAG.search(text) is not None
