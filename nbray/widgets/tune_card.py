"""Owns the card of an experiment: its head, best trial, figures, table and notes, as sections and as one static page."""

from __future__ import annotations

from collections.abc import Iterable

from nbray.tune.trial import AT_WORK, TrialState
from nbray.widgets import learning_curves, parallel_coordinates, rung_diagram, trials_table
from nbray.widgets.axes import NARROW, WIDE
from nbray.widgets.elements import Element, as_image, element, markup, spaced
from nbray.widgets.learning_curves import Lines
from nbray.widgets.picture import Picture, TrialLine
from nbray.widgets.scales import number_text
from nbray.widgets.settings import settings_text, value_text
from nbray.widgets.styles import BEST, BLUE, GREEN, GREY, ORANGE, RED, style_of, without_variables
from nbray.widgets.trials_table import button
from nbray.wording import count_text, one_line, plain_html, time_text

Sections = dict[str, Element]
"""The parts of a live card by their names; each is sent when it has changed."""
MOST_SAID = 6
MOST_FIXED = 8
SLOT = "curves"
"""Marks the place where the page's script draws the live curves."""
_SAID = {TrialState.ERROR: "failed", TrialState.PENDING: "waiting", TrialState.PAUSED: "paused"}


def sections(picture: Picture, lines: Lines, *, drawn_live: bool) -> Sections:
    """The card for a live page; with `drawn_live` the place of the curves is left to the page's script."""
    return {
        "head": element("div", _head(picture), _bar(picture)),
        "best": element("div", *_best(picture)),
        "figures": element("div", *_figures(picture, lines, drawn_live), class_="nbray-figures"),
        "table": element("div", trials_table.table(picture, 60)),
        "notes": element("div", *_notes(picture)),
    }


def static_html(picture: Picture) -> str:
    """The whole card as HTML without a script, for pages without widgets and for saved notebooks.

    Figures are images, which pass where inline drawings do not. The table's style comes as a sheet, to be short; a page that
    takes it away shows the table as it shows others.
    """
    figures = [_still(figure) for figure in _figures(picture, learning_curves.lines_of(picture), False)]
    table = trials_table.table(picture)
    parts = [
        element("style", trials_table.SHEET) if table is not None else None, _head(picture), _bar(picture),
        *_best(picture), element("div", *figures, class_="nbray-figures") if figures else None, table, *_notes(picture),
    ]  # fmt: skip
    card = element("div", *parts, class_="nbray-card")
    written = markup(card, lambda classes: "" if classes in trials_table.KEPT else style_of(classes, color(picture)))
    return plain_html(without_variables(written))


def text(picture: Picture) -> str:
    """The card as plain text, for viewers that know no HTML."""
    _, word = _state(picture)
    said = [f"{one_line(picture.name, 60)} {word.lower()}", *_parts(picture), _clock(picture)]
    lines = [f"nbray: {', '.join(said)}"]
    best = picture.best
    if best is not None:
        lines.append(f"  best: {_score(picture, best)}, trial {best.number}: {settings_text(best.settings, 12)}")
    return "\n".join(lines + ([f"  {one_line(picture.why)}"] if picture.why else []))


def color(picture: Picture) -> str:
    """The colour of the card's state."""
    return _state(picture)[0]


def _state(picture: Picture) -> tuple[str, str]:
    counts = picture.counts
    if picture.over:
        failed = counts.get(TrialState.ERROR, 0)
        open_trials = picture.trials - picture.ended
        return (RED, "Failed") if failed and failed == picture.trials else (GREY, "Stopped") if open_trials else (GREEN, "Done")
    if picture.why:
        return GREY, "Detached"
    if sum(counts.get(state, 0) for state in AT_WORK):
        return BLUE, "Running"
    paused = counts.get(TrialState.PAUSED, 0)
    return (ORANGE, "Paused") if paused and not counts.get(TrialState.PENDING, 0) else (ORANGE, "Waiting")


def _head(picture: Picture) -> Element:
    tint, word = _state(picture)
    hints = {"pause": "pause all trials", "resume": "resume all trials", "stop": "stop the experiment"}
    asks = [] if picture.over or picture.why else [button(ask, "", hint) for ask, hint in hints.items()]
    name = element("span", one_line(picture.name, 80), class_="nbray-name")
    said = [name, *(element("span", part) for part in _parts(picture))]
    clock = element("span", _clock(picture), class_="nbray-clock")
    buttons = element("span", *asks, class_="nbray-asks") if asks else None
    state = element("span", word, class_="nbray-state", style=f"color:{tint}")
    return element("div", *spaced(state, *said, clock, buttons), class_="nbray-head")


def _progress(picture: Picture) -> str:
    if picture.total is not None and picture.ended < picture.total:
        return f"{picture.ended:,} of {count_text(picture.total, 'trial')}"
    return count_text(picture.trials, "trial")


def _clock(picture: Picture) -> str:
    return time_text(picture.elapsed) if picture.over or picture.elapsed < 10 else time_text(float(int(picture.elapsed)))


def _parts(picture: Picture) -> list[str]:
    """How many trials there are, and in which states, in words."""
    working = sum(picture.counts.get(state, 0) for state in AT_WORK)
    said = [_progress(picture)] + ([f"{working:,} running"] if working else [])
    return said + [f"{picture.counts[state]:,} {word}" for state, word in _SAID.items() if picture.counts.get(state)]


def _bar(picture: Picture) -> Element | None:
    counts = picture.counts
    total = max(picture.trials, picture.total or 0)
    if not total:
        return None
    working = sum(counts.get(state, 0) for state in AT_WORK)
    striped = f"repeating-linear-gradient(-45deg,{BLUE} 0 4px,transparent 4px 7px)"
    pieces = [
        (counts.get(TrialState.TERMINATED, 0), GREEN if picture.over else BLUE), (counts.get(TrialState.ERROR, 0), RED),
        (working, striped), (counts.get(TrialState.PAUSED, 0), ORANGE),
    ]  # fmt: skip
    shares = [element("div", style=f"width:{100 * count / total:.2f}%;background:{tint}") for count, tint in pieces if count]
    return element("div", *shares, class_="nbray-bar")


def _score(picture: Picture, line: TrialLine) -> str:
    return f"{one_line(picture.metric, 40)} {number_text(line.value or 0.0)}"


def _best(picture: Picture) -> Iterable[Element]:
    best = picture.best
    if best is None:
        return
    chips = [_chip(name, value) for name, value in list(best.settings.items())[:12] if name not in picture.fixed]
    score = element("span", number_text(best.value or 0.0), class_="nbray-score", style=f"color:{BEST}")
    of = element("span", f"{one_line(picture.metric, 40)}, trial {best.number}", class_="nbray-quiet")
    yield element("div", *spaced(element("span", "best", class_="nbray-quiet"), score, of, *chips), class_="nbray-best")


def _chip(name: str, value: object) -> Element:
    label = element("span", f"{one_line(name, 30)} ", class_="nbray-quiet")
    return element("span", label, value_text(value, 30), class_="nbray-setting")


def _figures(picture: Picture, lines: Lines, drawn_live: bool) -> list[Element]:
    """Curves, beside them the rungs where there are any, else the parallel coordinates, which come last otherwise."""
    if not lines.strokes and not drawn_live:
        return []
    rungs = rung_diagram.drawing(picture)
    beside = rungs is not None or parallel_coordinates.drawing(picture, NARROW) is not None
    curves = None if drawn_live else learning_curves.drawing(lines, NARROW if beside else WIDE)
    figures = [_figure(lines.title, curves, "nbray-figure" if beside else "nbray-wide", SLOT)]
    if rungs is not None:
        figures.append(_figure("Rungs: who went on, who stayed", rungs, "nbray-figure", "rungs"))
    if rungs is None or picture.over:
        across = parallel_coordinates.drawing(picture, NARROW if rungs is None else WIDE)
        if across is not None:
            figures.append(_figure("Parallel coordinates", across, "nbray-figure" if rungs is None else "nbray-wide", "parallel"))
    return figures


def _figure(title: str, drawing: Element | None, kind: str, name: str) -> Element:
    place = element("div", drawing, data_slot=name)
    return element("div", element("div", title, class_="nbray-title"), place, class_=kind, data_key=name)


def _still(figure: Element) -> Element:
    """The same figure with an image in place of the drawing."""
    title, place = figure.children
    assert isinstance(title, Element)
    assert isinstance(place, Element)
    images = [as_image(drawing, str(title.children[0])) for drawing in place.children if isinstance(drawing, Element)]
    return Element(figure.tag, figure.attributes, (title, *images))


def _notes(picture: Picture) -> Iterable[Element]:
    if picture.why:
        yield element("div", one_line(picture.why, 400), class_="nbray-note")
    fixed = [f"{name}={value_text(value)}" for name, value in list(picture.fixed.items())[:MOST_FIXED]]
    if fixed:
        yield element("div", f"the same in all trials: {', '.join(fixed)}", class_="nbray-note")
    for said in list(picture.said)[-MOST_SAID:]:
        yield element("div", one_line(said, 400), class_="nbray-warning")
