"""Owns that a matplotlib figure which comes from a worker is drawn in the notebook, also where pyplot was never imported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MODULE, NAME = "matplotlib.figure", "Figure"


def install(shell: Any) -> Callable[[], None]:
    """Let this shell show figures as pictures until pyplot says how, or has said it; returns what undoes it.

    IPython learns to draw them when pyplot is imported, and a notebook need not do that if only its workers draw.
    """
    formatters = shell.display_formatter.formatters
    if any(f"{MODULE}.{NAME}" in formatter for formatter in formatters.values()):
        return lambda: None
    formatters["image/png"].for_type_by_name(MODULE, NAME, png)

    def undo() -> None:
        formatter = formatters["image/png"]
        name = f"{MODULE}.{NAME}"
        if name in formatter and formatter.lookup_by_type(name) is png:
            formatter.pop(name)

    return undo


def png(figure: Any) -> bytes | None:
    """A figure as a picture, as IPython draws it; None for an empty one."""
    from IPython.core.pylabtools import print_figure

    picture: bytes | None = print_figure(figure, fmt="png")
    return picture
