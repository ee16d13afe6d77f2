"""How ranks look once they have ended."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from nbray.notebook.rank_output import Part, RankPage
from nbray.notebook.rank_tabs import tabs_html, tabs_text
from nbray.notebook.ranks import Rank


def page(number: int, *parts: Part, state: str = "done", label: str = "", hidden: int = 0) -> RankPage:
    return RankPage(Rank(number, 3, label or f"rank {number}"), "worker 1", state, 1.25, parts, hidden)


class _Balance(HTMLParser):
    """Counts tags that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("input", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_one_tab_each_and_the_first_failed_one_in_front() -> None:
    html = tabs_html([page(0), page(1, state="failed"), page(2, state="failed")], "g")
    tabs = re.findall(r'<input type="radio" name="g" aria-label="([^"]*)" style="[^"]*"( checked)?>', html)
    assert tabs == [("rank 0", ""), ("rank 1 ✗", " checked"), ("rank 2 ✗", "")]
    assert "<script" not in html
    balance = _Balance()
    balance.feed(html)
    assert balance.open == []


def test_without_a_failure_the_first_is_in_front() -> None:
    assert re.findall(r'aria-label="([^"]*)" style="" checked', tabs_html([page(0), page(1)], "g")) == ["rank 0"]


def test_each_page_has_its_heading_for_viewers_that_drop_the_style() -> None:
    html = tabs_html([page(0), page(1, label="gpu0", state="stopped")], "g")
    assert "rank 0 of 3 · worker 1 · 1.2 s<" in html
    assert "gpu0, rank 1 of 3 · worker 1 · 1.2 s · stopped<" in html


def test_what_is_foreign_is_escaped() -> None:
    evil = page(0, Part("<script>x</script>\n"), Part(data={"text/plain": "<b>"}), label='"><script>')
    html = tabs_html([evil], '"g')
    assert "<script" not in html
    assert "&lt;script&gt;x" in html


def test_displays_take_the_richest_kind() -> None:
    parts = [
        Part(data={"text/plain": "t", "text/html": "<table></table>"}),
        Part(data={"text/plain": "<Figure>", "image/png": "iVBO\nRw=="}),
        Part(data={"image/svg+xml": "<svg></svg>", "text/plain": "s"}),
        Part(data={"text/latex": "$x<1$", "text/plain": "x"}),
        Part(data={"application/x": {}, "text/plain": "plain"}),
        Part(data={"application/x": {}}),
    ]
    html = tabs_html([page(0, *parts)], "g")
    for expected in (
        "<div><table></table></div>", '<img alt="&lt;Figure&gt;" src="data:image/png;base64,iVBORw=="', "<div><svg></svg></div>",
        "<div>$x&lt;1$</div>", ">plain</pre>", ">[application/x]</pre>",
    ):  # fmt: skip
        assert expected in html


def test_the_same_as_text() -> None:
    pages = [page(0, Part("a\x1b[31mb\x1b[0m\n"), Part(data={"text/plain": "5"}), hidden=2048), page(1, state="")]
    assert tabs_text(pages) == (
        "--- rank 0 of 3 · worker 1 · 1.2 s\nab\n5\n2.0 KiB more are not shown\n"
        "--- rank 1 of 3 · worker 1 · 1.2 s · not run to the end"
    )
