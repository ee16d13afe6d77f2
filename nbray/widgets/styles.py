"""Owns how cards look: what each class of element wears, as a style sheet for live cards and as inline styles for saved ones.

Text and lines take the page's own colour, so light and dark need nothing; colours with a meaning name Jupyter's variables,
with a colour beside it for pages that have none, and for images, which see no page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

GREEN = "var(--jp-success-color1,#388e3c)"
RED = "var(--jp-error-color1,#d84315)"
ORANGE = "var(--jp-warn-color1,#f57c00)"
BLUE = "var(--jp-brand-color1,#1976d2)"
GREY = "#8c8c8c"
BEST = "#f57c00"
"""The best trial, in every picture."""
GOOD, POOR = (21, 101, 192), (158, 168, 178)
"""Ends of the colours that stand for values, as red, green and blue: both are seen on white and on black."""

_QUIET = "opacity:.7"
STYLES = {
    "nbray-card": (
        "font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);font-variant-numeric:tabular-nums;margin:4px 0;"
        "padding:8px 14px 10px;border:1px solid rgba(128,128,128,.3);border-left:3px solid {color};border-radius:4px;"
        "max-width:1080px;box-sizing:border-box"
    ),
    "nbray-head": "display:flex;gap:2px 14px;flex-wrap:wrap;align-items:baseline",
    "nbray-state": "font-weight:600",
    "nbray-name": "font-weight:600",
    "nbray-clock": f"{_QUIET};margin-left:auto",
    "nbray-asks": "display:inline-flex;gap:4px;align-self:center",
    "nbray-bar": "display:flex;height:6px;margin:6px 0 6px;border-radius:3px;overflow:hidden;background:rgba(128,128,128,.22)",
    "nbray-best": "display:flex;gap:4px 8px;flex-wrap:wrap;align-items:baseline;margin:6px 0 2px",
    "nbray-score": "font-size:18px;font-weight:600;line-height:1.3",
    "nbray-quiet": _QUIET,
    "nbray-setting": (
        "display:inline-block;padding:0 7px;border-radius:9px;background:rgba(128,128,128,.15);white-space:nowrap;max-width:100%;"
        "overflow:hidden;text-overflow:ellipsis"
    ),
    "nbray-figures": (
        "display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:6px 22px;margin:8px 0 4px"
    ),
    "nbray-figure": "min-width:0",
    "nbray-wide": "min-width:0;grid-column:1/-1",
    "nbray-title": "font-weight:600;font-size:12px;margin:2px 0",
    "nbray-table": "overflow:auto;max-height:330px;margin-top:6px",
    "nbray-rows": (
        "border-collapse:collapse;font-size:12px;line-height:1.45;width:100%;margin:0;border:0;"
        "font-variant-numeric:tabular-nums;table-layout:auto"
    ),
    "nbray-h": (
        "text-align:left;font-weight:600;padding:3px 10px 3px 0;border:0;border-bottom:1px solid rgba(128,128,128,.4);"
        "white-space:nowrap"
    ),
    "nbray-hr": (
        "text-align:right;font-weight:600;padding:3px 10px 3px 0;border:0;border-bottom:1px solid rgba(128,128,128,.4);"
        "white-space:nowrap"
    ),
    "nbray-t": "text-align:left;padding:2px 10px 2px 0;border:0;white-space:nowrap",
    "nbray-n": "text-align:right;padding:2px 10px 2px 0;border:0;white-space:nowrap",
    "nbray-w": "text-align:left;padding:2px 10px 2px 0;border:0;opacity:.8;overflow-wrap:anywhere;min-width:90px",
    "nbray-more": f"{_QUIET};font-size:12px;margin-top:2px",
    "nbray-note": f"overflow-wrap:anywhere;{_QUIET};margin-top:3px",
    "nbray-warning": f"overflow-wrap:anywhere;color:{ORANGE};margin-top:3px",
}
"""For each class its style; `{color}` is the colour of the card's state."""


def style_of(classes: str, color: str = GREY) -> str:
    """The style of an element of these classes, for markup that stands alone.

    >>> style_of("nbray-state nbray-quiet")
    'font-weight:600;opacity:.7'
    """
    return ";".join(STYLES[name].replace("{color}", color) for name in classes.split() if name in STYLES)


def style_sheet() -> str:
    """The same for a page that keeps classes; the card's colour comes as the variable `--nbray-color`."""
    return sheet_of(STYLES)


def sheet_of(classes: Iterable[str]) -> str:
    """The sheet for some of the classes.

    >>> sheet_of(["nbray-name"])
    '.nbray-name{font-weight:600}'
    """
    color = f"var(--nbray-color,{GREY})"
    return "".join(f".{name}{{{STYLES[name].replace('{color}', color)}}}" for name in classes)


def without_variables(written: str) -> str:
    """Colours as such: a page that trusts nobody takes away styles that name variables.

    >>> without_variables("color:var(--jp-brand-color1,#1976d2)")
    'color:#1976d2'
    """
    return re.sub(r"var\(--jp-[a-z-]+-color\d,(#[0-9a-f]{6})\)", r"\1", written)


def shade(place: float) -> str:
    """The colour of a value, from 0, the poorest, to 1, the best.

    >>> shade(0.0), shade(1.0)
    ('#9ea8b2', '#1565c0')
    """
    place = min(1.0, max(0.0, place))
    return "#" + "".join(f"{round(poor + (good - poor) * place):02x}" for poor, good in zip(POOR, GOOD, strict=True))
