"""A figure that comes from a worker is drawn where pyplot was never imported; pyplot's own ways win."""

from __future__ import annotations

import io
from typing import Any

from nbray.notebook import figures

NAME = f"{figures.MODULE}.{figures.NAME}"


def test_a_shell_learns_to_draw_figures_and_forgets_it(shell: Any) -> None:
    formatter = shell.display_formatter.formatters["image/png"]
    undo = figures.install(shell)
    assert formatter.lookup_by_type(NAME) is figures.png
    undo()
    assert NAME not in formatter


def test_what_pyplot_or_the_user_said_stays(shell: Any) -> None:
    formatters = shell.display_formatter.formatters
    formatters["image/svg+xml"].for_type_by_name(figures.MODULE, figures.NAME, str)
    undo = figures.install(shell)
    assert NAME not in formatters["image/png"]
    undo()
    assert formatters["image/svg+xml"].lookup_by_type(NAME) is str


def test_what_pyplot_says_later_is_left_alone(shell: Any) -> None:
    formatter = shell.display_formatter.formatters["image/png"]
    undo = figures.install(shell)
    formatter.for_type_by_name(figures.MODULE, figures.NAME, repr)
    undo()
    assert formatter.lookup_by_type(NAME) is repr


class Figure:
    """What IPython asks of a figure; the real one would settle for this process how all are drawn."""

    dpi, lines = 100, ()

    def __init__(self, *axes: str) -> None:
        self.axes, self.canvas = axes, self

    def get_facecolor(self) -> str:
        return "white"

    get_edgecolor = get_facecolor

    def print_figure(self, file: io.BytesIO, **options: Any) -> None:
        file.write(options["format"].encode())


def test_a_figure_is_a_picture_and_an_empty_one_is_none() -> None:
    assert figures.png(Figure()) is None
    assert figures.png(Figure("axes")) == b"png"
