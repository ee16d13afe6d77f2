"""Owns the progress bars of one cell: one display with a line for each description, updated a few times a second.

The display stays in the saved notebook as it was at the end: HTML without a script, and the same as plain text.
"""

from __future__ import annotations

import html
from collections.abc import Hashable
from typing import Any

from nbray.notebook.card_html import BLUE, GREEN, GREY
from nbray.progress_board import BarState, Board, Line, text
from nbray.wording import one_line, plain_html

INTERVAL = 0.3
"""Seconds between two messages."""
NEVER = float("inf")

_TABLE = (
    "font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);font-variant-numeric:tabular-nums;max-width:760px;"
    "display:grid;grid-template-columns:fit-content(30%) minmax(110px,1fr) fit-content(50%);gap:1px 10px;align-items:center;"
    "margin:2px 0"
)
_BAR = "height:6px;border-radius:3px;overflow:hidden;background:rgba(128,128,128,.22)"
_LABEL = "overflow-wrap:anywhere;font-weight:600"

Message = tuple[str, dict[str, Any]]
"""Kind and content, as on Jupyter's iopub channel."""


class CellProgress:
    """The bars of one cell run, on their way to the page."""

    def __init__(self, cell_run: str) -> None:
        self._display_id = f"nbray-progress-{cell_run}"
        self._board = Board()
        self._changed = False
        self._shown_at = -NEVER
        self._on_page = False

    def handle(self, task: Hashable, task_name: str, state: BarState, now: float) -> None:
        """Take in the state of a bar."""
        self._board.handle(task, one_line(task_name, 40), _harmless(state), now)
        self._changed = True

    def clear(self) -> None:
        """The cell's output was cleared, and the display with it."""
        self._on_page = False

    def deadline(self) -> float:
        """When `publish` has something to give, if nothing else comes."""
        return self._shown_at + INTERVAL if self._changed else NEVER

    def publish(self, now: float, everything: bool) -> list[Message]:
        """The display when it is due, or has changed and `everything` must be said."""
        if not self._changed or not (everything or now >= self.deadline()):
            return []
        self._shown_at = now
        return self.show()

    def show(self) -> list[Message]:
        """The display, whether it has changed or not; nothing where there is no bar."""
        self._changed = False
        lines, hidden = self._board.lines()
        if not lines and not self._on_page:
            return []
        kind = "update_display_data" if self._on_page else "display_data"
        self._on_page = True
        data = {"text/html": progress_html(lines, hidden), "text/plain": progress_text(lines, hidden)}
        return [(kind, {"data": data, "metadata": {}, "transient": {"display_id": self._display_id}})]


def _harmless(state: BarState) -> BarState:
    """What a task says of itself is foreign text."""
    return BarState(
        bar=state.bar, key=one_line(state.key, 80), desc=one_line(state.desc, 80), n=state.n, total=state.total,
        unit=one_line(state.unit, 12), postfix=one_line(state.postfix, 120), elapsed=state.elapsed, closed=state.closed,
        leave=state.leave,
    )  # fmt: skip


def progress_text(lines: list[Line], hidden: int) -> str:
    """The bars as plain text."""
    return "\n".join([text(line) for line in lines] + ([f"and {hidden:,} more"] if hidden else []))


def progress_html(lines: list[Line], hidden: int) -> str:
    """The bars as HTML: label, bar, counts."""
    rows = [cell for line in lines for cell in _cells(line)]
    more = f'<div style="opacity:.7;grid-column:1/-1">and {hidden:,} more</div>' if hidden else ""
    return plain_html(f'<div style="{_TABLE}">{"".join(rows)}{more}</div>')


def _cells(line: Line) -> list[str]:
    percent = "" if line.fraction is None else f"{int(100 * line.fraction)}% · "
    details = html.escape(f"{percent}{line.counts} [{line.times}] {line.postfix}".rstrip())
    return [
        f'<div style="{_LABEL}">{html.escape(line.label)}</div>',
        _bar(line),
        f"<div>{details}</div>",
    ]


def _bar(line: Line) -> str:
    fraction = line.fraction
    if fraction is None:
        return "<div></div>"
    color = BLUE if line.open else GREEN if fraction >= 1 else GREY
    label = f'role="progressbar" aria-valuenow="{100 * fraction:.0f}" aria-valuemin="0" aria-valuemax="100"'
    return f'<div {label} style="{_BAR}"><div style="width:{100 * fraction:.1f}%;height:100%;background:{color}"></div></div>'
