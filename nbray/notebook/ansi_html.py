"""Owns how text with ANSI colours, as tracebacks have them, looks in HTML: spans with inline styles, everything else escaped."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_SEQUENCE = re.compile(r"\x1b\[([0-9;:]*)([A-Za-z])")
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
_COLORS = {
    "black": "inherit", "red": "#d84315", "green": "#2e7d32", "yellow": "#b26a00", "blue": "#1976d2", "magenta": "#8e44ad",
    "cyan": "#00838f", "white": "inherit",
}  # fmt: skip
"""Legible on white and on black; black and white are the page's own."""
_CUBE = (0, 95, 135, 175, 215, 255)


def ansi_html(text: str) -> str:
    """Text with its colours and its bold parts.

    >>> ansi_html("a < \\x1b[31mb\\x1b[0m")
    'a &lt; <span style="color:#d84315">b</span>'
    """
    return "".join(
        f'<span style="{style}">{html.escape(part)}</span>' if style else html.escape(part) for style, part in _styled(text)
    )


def _styled(text: str) -> Iterator[tuple[str, str]]:
    """Parts of the text, each with its style."""
    style: dict[str, str] = {}
    position = 0
    for found in _SEQUENCE.finditer(text):
        if found.start() > position:
            yield _css(style), text[position : found.start()]
        position = found.end()
        if found[2] == "m":
            _apply(style, found[1])
    if position < len(text):
        yield _css(style), text[position:]


def _css(style: dict[str, str]) -> str:
    return ";".join(f"{name}:{value}" for name, value in style.items())


def _apply(style: dict[str, str], codes: str) -> None:
    numbers = iter([int(code) if code else 0 for code in codes.replace(":", ";").split(";")])
    for number in numbers:
        if number == 0:
            style.clear()
        elif number == 1:
            style["font-weight"] = "bold"
        elif number == 22:
            style.pop("font-weight", None)
        elif number in (38, 48):
            color = _extended(numbers)
            if number == 38:
                style["color"] = color
        elif number == 39:
            style.pop("color", None)
        elif 30 <= number <= 37 or 90 <= number <= 97:
            style["color"] = _COLORS[_NAMES[number % 10]]


def _extended(numbers: Iterator[int]) -> str:
    """The colour that follows: one of 256, or red, green and blue."""
    if next(numbers, 5) == 2:
        return "rgb({},{},{})".format(*(next(numbers, 0) for _ in range(3)))
    number = next(numbers, 0)
    if number < 16:
        return _COLORS[_NAMES[number % 8]]
    if number >= 232:
        return "rgb({0},{0},{0})".format(8 + 10 * (number - 232))
    red, green, blue = (_CUBE[(number - 16) // step % 6] for step in (36, 6, 1))
    return f"rgb({red},{green},{blue})"
