"""A figure that comes from a worker is drawn where pyplot was never imported; pyplot's own ways win."""

from __future__ import annotations

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


def test_a_figure_is_a_picture_and_an_empty_one_is_none() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    assert figures.png(figure) is None
    figure.subplots().set_axis_off()
    assert (figures.png(figure) or b"").startswith(b"\x89PNG")
