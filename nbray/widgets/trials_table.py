"""Owns the table of trials: best first, a row for each, with what can be asked of those that are not over."""

from __future__ import annotations

from collections.abc import Sequence

from nbray.tune.trial import TrialState
from nbray.widgets.elements import Element, element
from nbray.widgets.picture import MOST_SETTINGS, Picture, TrialLine
from nbray.widgets.scales import number_text
from nbray.widgets.settings import value_text
from nbray.widgets.styles import BEST, BLUE, GREEN, GREY, ORANGE, RED, STYLES
from nbray.wording import one_line, time_text

MOST_SAVED = 30
"""Rows in a saved notebook."""
WORDS: dict[TrialState, tuple[str, str]] = {
    TrialState.PENDING: ("waiting", GREY),
    TrialState.RUNNING: ("running", BLUE),
    TrialState.PAUSING: ("pausing", ORANGE),
    TrialState.STOPPING: ("stopping", ORANGE),
    TrialState.PAUSED: ("paused", ORANGE),
    TrialState.TERMINATED: ("done", GREEN),
    TrialState.ERROR: ("failed", RED),
}
"""What people read for a state, and its colour."""
ASKS: dict[TrialState, tuple[str, ...]] = {
    TrialState.PENDING: ("stop",),
    TrialState.RUNNING: ("pause", "stop"),
    TrialState.PAUSING: ("stop",),
    TrialState.PAUSED: ("resume", "stop"),
}
"""What a person may ask of a trial in this state."""
CLASSES = ("nbray-h", "nbray-hr", "nbray-t", "nbray-n", "nbray-w")
"""Of the cells."""
KEPT = ("nbray-rows", *CLASSES)
SHEET = "".join(
    f".nbray-rows{f' .{name}' if name in CLASSES else ''}{{{STYLES[name].replace(';', '!important;')}!important}}"
    for name in KEPT
) + ".nbray-rows tr{background:transparent!important}.nbray-rows tbody tr:hover{background:rgba(128,128,128,.12)!important}"
"""Their style where it is not that of a live card; stronger than what Jupyter has for all tables."""
SIGNS = {"pause": "M3,2h2.6v8H3zM6.4,2H9v8H6.4z", "stop": "M2.5,2.5h7v7h-7z", "resume": "M3.5,1.8L10,6L3.5,10.2z"}
"""Their pictures, on 12 by 12: no font need have them."""


def table(picture: Picture, most: int = MOST_SAVED) -> Element | None:
    """The table with at most so many rows; None before the first trial."""
    if not picture.lines:
        return None
    lines = _chosen(picture.lines, most)
    names = list(picture.varied)[:MOST_SETTINGS]
    timed = any(line.seconds for line in lines)
    reports = any(line.iteration > 1 for line in lines)
    head = _head(picture, names, reports, timed)
    rows = [_row(picture, line, names, reports, timed) for line in lines]
    body = element("table", element("thead", head), element("tbody", *rows), class_="nbray-rows")
    return element("div", element("div", body, class_="nbray-table"), _more(picture, len(lines)))


def _chosen(lines: Sequence[TrialLine], most: int) -> list[TrialLine]:
    """The best, and those that are not over: what one wants to stop is in the table, wherever it ranks."""
    waiting = [line for line in lines if line.state is TrialState.PENDING]
    at_work = {line.trial_id for line in lines if line.is_open and line.state is not TrialState.PENDING}
    rest = max(0, most - len(at_work))
    best = {line.trial_id for line in [line for line in lines if line.trial_id not in at_work and line not in waiting][:rest]}
    few = {line.trial_id for line in waiting[: max(0, most - len(at_work) - len(best))]}
    chosen = at_work | best | few
    return [line for line in lines if line.trial_id in chosen]


def _head(picture: Picture, names: Sequence[str], reports: bool, timed: bool) -> Element:
    titles = [("trial", "nbray-hr"), ("", "nbray-h"), (one_line(picture.metric, 24), "nbray-hr")]
    titles += [("reports", "nbray-hr")] if reports else []
    titles += [("time", "nbray-hr")] if timed else []
    titles += [(one_line(name, 24), "nbray-h") for name in names]
    cells = [element("th", title, class_=kind) for title, kind in titles]
    return element("tr", *cells, element("th", class_="nbray-h"))


def _row(picture: Picture, line: TrialLine, names: Sequence[str], reports: bool, timed: bool) -> Element:
    word, color = WORDS[line.state]
    if line.cut:
        word, color = "stopped", GREY
    is_best = picture.best is not None and picture.best.trial_id == line.trial_id
    strong = f"color:{BEST};font-weight:600" if is_best else None
    cells = [
        element("td", str(line.number), class_="nbray-n"),
        element("td", element("span", "● ", style=f"color:{color}"), word, class_="nbray-t"),
        element("td", _value(line), class_="nbray-n", style=strong),
    ]
    cells += [element("td", f"{line.iteration:,}", class_="nbray-n")] if reports else []
    cells += [element("td", time_text(line.seconds) if line.seconds else "", class_="nbray-n")] if timed else []
    cells += [element("td", value_text(line.settings[name]) if name in line.settings else "", class_="nbray-t") for name in names]
    hint = one_line(line.why, 400) or None
    note = element("td", *_buttons(picture, line), one_line(line.why, 90), class_="nbray-w", title=hint)
    return element("tr", *cells, note, data_key=line.trial_id, data_trial=line.trial_id)


def _value(line: TrialLine) -> str:
    if line.value is not None:
        return number_text(line.value)
    return "NaN" if line.iteration else ""


def _buttons(picture: Picture, line: TrialLine) -> list[Element]:
    if picture.over or picture.why:
        return []
    return [button(ask, line.trial_id, f"{ask} trial {line.number}") for ask in ASKS.get(line.state, ())]


def button(ask: str, trial_id: str, hint: str) -> Element:
    """A button that asks for something; of all trials where the id is empty."""
    sign = element("svg", element("path", d=SIGNS[ask], fill="currentColor"), viewBox="0 0 12 12", width=11, height=11)
    return element("button", sign, data_ask=ask, data_of=trial_id, title=hint, aria_label=hint)


def _more(picture: Picture, shown: int) -> Element | None:
    hidden = picture.trials - shown
    settings = len(picture.varied) - MOST_SETTINGS
    said = [f"and {hidden:,} more trials"] if hidden > 0 else []
    said += [f"and {settings} more parameters"] if settings > 0 else []
    return element("div", ", ".join(said), class_="nbray-more") if said else None
