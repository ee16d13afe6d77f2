"""Owns the frame of a small picture: axes with ticks and labels, and where in it a pair of values lies."""

from __future__ import annotations

from collections.abc import Sequence

from nbray.widgets.elements import Element, element
from nbray.widgets.scales import Scale, number_text

HEIGHT = 236.0
NARROW, WIDE = 480.0, 1000.0
"""Widths of pictures, in units that are about a pixel on a page of usual width."""
FONT = "var(--jp-ui-font-family,system-ui,sans-serif)"
LINES = "stroke:var(--jp-border-color1,#a0a0a0);stroke-opacity:.55"
TEXT = f"font:11px {FONT};fill:var(--jp-ui-font-color2,#808080)"


class Axes:
    """A frame of this width and height with a scale on either side."""

    def __init__(self, x: Scale, y: Scale, width: float = NARROW, height: float = HEIGHT, left: float = 50.0) -> None:
        self.x, self.y = x, y
        self.width, self.height = width, height
        self.left, self.right, self.top, self.bottom = left, 12.0, 8.0, 34.0

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where the values x and y meet."""
        return self.across(self.x.place(x)), self.upward(self.y.place(y))

    def across(self, part: float) -> float:
        """The x of a point so far along, from 0 to 1."""
        return self.left + part * (self.width - self.left - self.right)

    def upward(self, part: float) -> float:
        """The y of a point so far up, from 0 to 1."""
        return self.height - self.bottom - part * (self.height - self.top - self.bottom)

    def path(self, points: Sequence[tuple[float, float]]) -> str:
        """The `d` of a line through these values."""
        places = [self.at(x, y) for x, y in points]
        return "M" + "L".join(f"{x:.4g},{y:.4g}" for x, y in places)

    def frame(self, x_label: str, y_label: str = "", *, whole: bool = False) -> list[Element]:
        """The axes, drawn; `whole`: between whole numbers lies nothing on x."""
        floor, wall = self.upward(0.0), self.across(0.0)
        lines = [_line(wall, floor, self.across(1.0), floor)]
        texts: list[Element] = []
        for value in self.x.ticks(6):
            if whole and value != int(value):
                continue
            x = self.across(self.x.place(value))
            lines.append(_line(x, floor, x, floor + 4))
            texts.append(text(x, floor + 15, number_text(value), "middle"))
        for value in self.y.ticks(5) if y_label else ():
            y = self.upward(self.y.place(value))
            lines.append(_line(wall, y, self.across(1.0), y))
            texts.append(text(wall - 6, y + 4, number_text(value), "end"))
        texts.append(text(self.across(0.5), self.height - 4, x_label, "middle"))
        return [element("g", *lines, style=LINES), *texts]

    def drawing(self, *parts: Element, label: str) -> Element:
        """The picture with these parts, as an SVG that fills the width it is given."""
        return element(
            "svg", *parts, viewBox=f"0 0 {self.width:g} {self.height:g}", role="img", aria_label=label,
            style="width:100%;height:auto;display:block",
        )  # fmt: skip


def text(x: float, y: float, said: str, anchor: str = "start", style: str = "") -> Element:
    """A text of the usual size; `anchor` says which end of it lies at x: "start", "middle" or "end"."""
    return element("text", said, x=x, y=y, text_anchor=anchor, style=TEXT + (f";{style}" if style else ""))


def _line(x1: float, y1: float, x2: float, y2: float) -> Element:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2)
