"""Owns the rung diagram: at each level the trials that reached it, by their values, and which of them went on.

    rung 9    . . o o     |  O O          the higher, the further on
    rung 3    . . . .  |  o o o o         . stayed   o went on   | what a trial has to reach now
    rung 1    . . . . . |. o o o o o
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nbray.tune.schedulers.scheduler import Rung
from nbray.widgets.axes import NARROW, Axes, text
from nbray.widgets.elements import Element, element
from nbray.widgets.picture import Picture, number
from nbray.widgets.scales import Scale, number_text, scale_of
from nbray.widgets.styles import BEST, BLUE, GREY

MOST_RUNGS = 14
MOST_DOTS = 150
"""Of one rung: as many of its best and of its poorest."""
ROW = 34.0


def drawing(picture: Picture, width: float = NARROW) -> Element | None:
    """The diagram as SVG; None where nothing has reached a rung."""
    rungs = [rung for rung in picture.rungs if any(number(value) is not None for value in rung.values.values())]
    rungs = sorted(rungs, key=lambda rung: (rung.bracket, -rung.level))[:MOST_RUNGS]
    if not rungs:
        return None
    scale = scale_of((value for rung in rungs for value in map(number, rung.values.values()) if value is not None), robust=True)
    several = len({rung.bracket for rung in rungs}) > 1
    axes = Axes(scale, Scale(0, len(rungs)), width, max(236.0, 42.0 + ROW * len(rungs)), left=92.0 if several else 60.0)
    axes.right = 88.0
    parts = axes.frame(f"{picture.metric}, {'higher' if picture.mode == 'max' else 'lower'} is better")
    for index, rung in enumerate(rungs):
        parts += _row(axes, rung, len(rungs) - index - 0.5, picture, several)
    return axes.drawing(*parts, label="Rungs")


def _row(axes: Axes, rung: Rung, height: float, picture: Picture, several: bool) -> Iterable[Element]:
    _, y = axes.at(axes.x.low, height)
    lane = "stroke:var(--jp-border-color1,#a0a0a0);stroke-opacity:.35"
    yield element("line", x1=axes.across(0.0), y1=y, x2=axes.across(1.0), y2=y, style=lane)
    name = f"bracket {rung.bracket}, {number_text(rung.level)}" if several else f"at {number_text(rung.level)}"
    yield text(axes.left - 10, y + 4, name, "end")
    yield text(axes.across(1.0) + 10, y + 4, f"{len(rung.went_on)} of {len(rung.values)} on")
    if rung.cutoff is not None and number(rung.cutoff) is not None:
        x = axes.across(axes.x.place(rung.cutoff))
        mark = element("title", f"what a trial has to reach now: {number_text(rung.cutoff)}")
        yield element("line", mark, x1=x, y1=y - 11, x2=x, y2=y + 11, style=f"stroke:{BEST};stroke-width:2;stroke-linecap:round")
    yield from _dots(axes, rung, y, picture)


def _dots(axes: Axes, rung: Rung, y: float, picture: Picture) -> Iterable[Element]:
    """Those that stayed below those that went on; the best trial above all."""
    known = {trial: value for trial, given in rung.values.items() if (value := number(given)) is not None}
    best = picture.best.trial_id if picture.best else None
    stayed, on, leader = list[Element](), list[Element](), list[Element]()
    for trial in _shown(known):
        value, went_on = known[trial], trial in rung.went_on
        hint = f"trial {picture.numbers.get(trial, trial)}: {number_text(value)}, {'went on' if went_on else 'stayed'}"
        group, radius = (leader, 5) if trial == best else (on if went_on else stayed, 4)
        x = axes.across(axes.x.place(value))
        group.append(element("circle", element("title", hint), cx=x, cy=y, r=radius, data_trial=trial))
    for color, opacity, dots in ((GREY, 0.5, stayed), (BLUE, 0.75, on), (BEST, 0.9, leader)):
        if dots:
            yield element("g", *dots, style=f"fill:{color};fill-opacity:{opacity}")


def _shown(values: Mapping[str, float]) -> Sequence[str]:
    order = sorted(values, key=values.__getitem__)
    return order if len(order) <= 2 * MOST_DOTS else order[:MOST_DOTS] + order[-MOST_DOTS:]


LEGEND = (("went on", BLUE), ("stayed", GREY), ("to reach now", BEST))
