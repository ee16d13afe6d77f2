"""Owns how the ranks of a cell look once they have ended: a tab each, and the same as plain text.

Plain HTML: the tabs are radio buttons and a style sheet, without a script. Where a viewer takes those away (GitHub does) all
pages stand one below the other, each under its own heading.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nbray.notebook.ansi_html import ansi_html
from nbray.notebook.card_html import GREEN, GREY, RED
from nbray.notebook.rank_output import Part, RankPage
from nbray.wording import NO_MATHEMATICS, one_line, size_text, time_text

_ANSI = re.compile(r"\x1b\[[0-9;:]*[A-Za-z]")
_COLORS = {"done": GREEN, "failed": RED, "stopped": GREY, "": GREY}
_WORDS = {"done": "", "failed": "failed", "stopped": "stopped", "": "not run to the end"}
_MARKS = {"done": "", "failed": " ✗", "stopped": " ◼", "": " ?"}
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")

STYLE = """
.nbray-ranks{display:flex;flex-wrap:wrap;gap:0 2px;font:13px/1.4 var(--jp-ui-font-family,system-ui,sans-serif);margin:4px 0}
.nbray-ranks>input{appearance:none;-webkit-appearance:none;order:0;margin:0;padding:3px 11px;width:auto;height:auto;
cursor:pointer;border:1px solid transparent;border-bottom:2px solid transparent;border-radius:4px 4px 0 0;opacity:.7}
.nbray-ranks>input::before{content:attr(aria-label)}
.nbray-ranks>input:checked{opacity:1;font-weight:600;border-color:rgba(128,128,128,.3);border-bottom-color:currentColor}
.nbray-ranks>input:focus-visible{outline:2px solid var(--jp-brand-color1,#1976d2)}
.nbray-ranks>div{order:1;display:none;flex:0 0 100%;box-sizing:border-box;border-top:1px solid rgba(128,128,128,.3);
padding:6px 2px 2px;overflow:auto;max-height:36em}
.nbray-ranks>input:checked+div{display:block}
@media print{.nbray-ranks>input{display:none}.nbray-ranks>div{display:block;max-height:none}}
"""
_STYLE = STYLE.replace("\n", "")
_PRE = (
    "margin:0;padding:0;background:none;border:0;white-space:pre-wrap;overflow-wrap:anywhere;"
    "font:13px/1.3 var(--jp-code-font-family,monospace)"
)


def tabs_html(pages: Sequence[RankPage], group: str) -> str:
    """The pages as tabs, the first that failed in front; `group` names them on the page that they get into."""
    front = next((index for index, page in enumerate(pages) if page.state == "failed"), 0)
    tabs = "".join(_tab(page, group, index == front) for index, page in enumerate(pages))
    return f'<div class="nbray-ranks"><style>{_STYLE}</style>{tabs}</div>'


def tabs_text(pages: Sequence[RankPage]) -> str:
    """The pages as plain text, one below the other."""
    return "\n".join(_page_text(page) for page in pages)


def _tab(page: RankPage, group: str, chosen: bool) -> str:
    color = f"color:{RED}" if page.state == "failed" else ""
    label = html.escape(one_line(page.rank.label, 40) + _MARKS[page.state], quote=True)
    button = (
        f'<input type="radio" name="{html.escape(group, quote=True)}" aria-label="{label}" style="{color}"'
        f"{' checked' if chosen else ''}>"
    )
    head = f'<span style="color:{_COLORS[page.state]}">●</span> {html.escape(_heading(page))}'
    body = "".join(_part_html(part) for part in page.parts) + _hidden_html(page)
    top = f'<div class="{NO_MATHEMATICS}" style="opacity:.8;font-weight:600;margin-bottom:3px">{head}</div>'
    return f"{button}<div>{top}{body}</div>"


def _heading(page: RankPage) -> str:
    """ "rank 2 of 4 · worker 1 · 1.3 s"."""
    seconds = "" if page.seconds is None else time_text(page.seconds)
    label = one_line(page.rank.label, 40)
    name = label if label == f"rank {page.rank.number}" else f"{label}, rank {page.rank.number}"
    parts = (f"{name} of {page.rank.world}", page.worker, seconds, _WORDS[page.state])
    return " · ".join(part for part in parts if part)


def _hidden_html(page: RankPage) -> str:
    return f'<div style="opacity:.7">{size_text(page.hidden)} more are not shown</div>' if page.hidden else ""


def _part_html(part: Part) -> str:
    if part.data is None:
        background = ";background:var(--jp-rendermime-error-background,rgba(216,67,21,.08))" if part.is_error else ""
        return f'<pre style="{_PRE}{background}">{ansi_html(part.text)}</pre>'
    return _display_html(part.data)


def _display_html(data: Mapping[str, Any]) -> str:
    """The richest kind that HTML can hold."""
    if isinstance(data.get("text/html"), str):
        return f"<div>{data['text/html']}</div>"
    if isinstance(data.get("image/svg+xml"), str):
        return f"<div>{data['image/svg+xml']}</div>"
    for kind in _IMAGES:
        if isinstance(data.get(kind), str):
            code = html.escape("".join(data[kind].split()), quote=True)
            return f'<img alt="{html.escape(_text_of(data), quote=True)}" src="data:{kind};base64,{code}" style="max-width:100%">'
    if isinstance(data.get("text/latex"), str):
        return f"<div>{html.escape(data['text/latex'])}</div>"
    return f'<pre style="{_PRE}">{ansi_html(_text_of(data))}</pre>'


def _text_of(data: Mapping[str, Any]) -> str:
    text = data.get("text/plain") or data.get("text/markdown") or f"[{', '.join(map(str, data))}]"
    return str(text)


def _page_text(page: RankPage) -> str:
    lines = [f"--- {_heading(page)}"]
    for part in page.parts:
        text = part.text if part.data is None else _text_of(part.data)
        lines += _ANSI.sub("", text).splitlines()
    return "\n".join([*lines, *([f"{size_text(page.hidden)} more are not shown"] if page.hidden else [])])
