"""Owns what tasks print and display on its way to their cells: the right cell, ten messages a second, limits.

Pure: events and times go in, what to publish comes out. The rules, as a reader of the notebook meets them:

- While one task prints in a cell, its text appears as if the cell itself had printed it. As soon as two tasks print in
  the same cell run, each line begins with "(task, worker)"; the output of a `%%remote` cell's own code never does.
- Of a cell that runs as several ranks each line does; once they have ended, their output may be shown rank by rank instead.
- A line belongs to one task. The unfinished line of a task is shown at once while no other task prints in the cell, and
  held back while others do, until its newline comes or it is `HELD` seconds old.
- Of a line that is rewritten with carriage returns (a progress bar) only what would be seen is sent.
- Progress bars (`nbray.progress`, and tqdm in tasks) are one display a cell, with one line for all bars of one description.
- A task may fill `TASK_LIMIT` bytes of its cell and all tasks together `CELL_LIMIT`; then one line, which is updated,
  says how much more there was.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from nbray import progress_board
from nbray.backends.backend import OutputEvent
from nbray.ids import CellRunId, TaskId
from nbray.notebook import ranks
from nbray.notebook.cell_output import INTERVAL, NEVER, CellOutput, Shown
from nbray.notebook.rank_output import RankOutput
from nbray.notebook.rank_tabs import tabs_html, tabs_text
from nbray.notebook.ranks import Rank
from nbray.wording import one_line

MAX_CELLS = 200
MAX_DISPLAYS = 10_000
STREAMS = ("stdout", "stderr")

IsOwnTask = Callable[[CellRunId, TaskId], bool]
"""Is this the task that runs the code of a `%%remote` cell?"""


class _Move(NamedTuple):
    """The new place of a cell's output."""

    alone: bool
    """Nothing else is shown there."""
    displays: set[str]
    """What has been displayed there."""


class OutputBuffer:
    """Coalesces the output of all cells: `handle` each event, call `due` when `next_deadline` has come."""

    def __init__(self, is_own_task: IsOwnTask = lambda cell_run, task_id: False) -> None:
        self._is_own_task = is_own_task
        self._cells: OrderedDict[CellRunId, CellOutput] = OrderedDict()
        self._busy: dict[CellRunId, CellOutput] = {}
        """Those that have something left to publish."""
        self._display_names: OrderedDict[str, str] = OrderedDict()
        self._ranked: dict[CellRunId, RankOutput] = {}
        """Of cells that run as several ranks, until they have ended."""
        self._moved: OrderedDict[CellRunId, _Move] = OrderedDict()
        """Cells that are shown in another place than they began in."""

    def handle(self, event: OutputEvent, now: float) -> None:
        """File away one event."""
        cell = self._busy[event.cell_run] = self._cell(event.cell_run)
        ranked = self._ranked.get(event.cell_run)
        if event.stream in STREAMS:
            cell.handle_text(event, now)
            if ranked is not None:
                ranked.handle_text(event)
            return
        if event.stream == ranks.STREAM:
            self._note_rank(event, cell)
            return
        if event.stream == progress_board.STREAM and (state := progress_board.decode(event.data)) is not None:
            cell.handle_progress(event, state, now)
            return
        content = display_content(event)
        if content is None:
            kind = one_line(event.stream, 40)
            text = f"[nbray] a {kind} that is not well formed is not shown\n"
            cell.handle_text(event._replace(stream="stderr", data=text.encode()), now)
        elif event.stream != "clear_output" or event.cell_run not in self._moved or self._moved[event.cell_run].alone:
            event = self._name_display(event, content)
            if ranked is not None:
                ranked.handle_display(event, content)
                if event.stream == "clear_output":
                    return  # the others' output stays
            cell.handle_display(event, content, now)

    def begin_again(self, cell_run: CellRunId, *, alone: bool) -> None:
        """What comes now has been shown before, elsewhere: nothing of it counts any more. Unless it is `alone` in its new place,
        this cell run clears nothing there."""
        self._cells.pop(cell_run, None)
        self._busy.pop(cell_run, None)
        self._ranked.pop(cell_run, None)
        self._moved[cell_run] = _Move(alone, set())
        if not alone:
            self._cell(cell_run).name_all()
        while len(self._moved) > MAX_CELLS:
            self._moved.popitem(last=False)

    def due(self, now: float) -> list[Shown]:
        """What must be published now."""
        return self._publish([cell for cell in self._busy.values() if cell.deadline() <= now], now)

    def hurry(self, cell_run: CellRunId, now: float) -> list[Shown]:
        """What would be published a moment later: the cell goes on with something that must stand below it."""
        return self._publish([cell for cell in self._busy.values() if cell.id == cell_run], now + INTERVAL)

    def hurry_lines(self, cell_run: CellRunId, now: float) -> list[Shown]:
        """The same without unfinished lines, which go on below."""
        cell = self._busy.get(cell_run)
        return [] if cell is None else cell.publish(now + INTERVAL, whole_lines=True)

    def flush(self, cell_run: CellRunId, now: float) -> list[Shown]:
        """Everything that is left of a cell, unfinished lines too: its code, or its last task, has ended."""
        return self._publish([cell for cell in self._busy.values() if cell.id == cell_run], now, everything=True)

    def flush_all(self, now: float) -> list[Shown]:
        """Everything that is left of all cells."""
        return self._publish(list(self._busy.values()), now, everything=True)

    def next_deadline(self) -> float:
        """When `due` has something to give, if nothing else comes; infinity when nothing is left."""
        return min((cell.deadline() for cell in self._busy.values()), default=NEVER)

    def _publish(self, cells: list[CellOutput], now: float, everything: bool = False) -> list[Shown]:
        messages = []
        for cell in cells:
            messages += cell.publish(now, everything)
            if cell.deadline() == NEVER:
                del self._busy[cell.id]
        return messages

    def by_rank(self, cell_run: CellRunId, known: Mapping[TaskId, Rank], failures: Mapping[TaskId, str]) -> list[Shown]:
        """What takes the place of all that was shown in a cell, now that its ranks have ended; forgets what they printed."""
        ranked = self._ranked.pop(cell_run, None)
        pages = [] if ranked is None else ranked.pages(known, failures)
        if not pages:
            return []
        name = f"nbray-ranks-{cell_run}"
        tabs = {"data": {"text/html": tabs_html(pages, name), "text/plain": tabs_text(pages)}, "metadata": {}, "transient": {}}
        bars = self._cell(cell_run).bars_again()
        return [Shown(cell_run, "clear_output", {"wait": True}), *bars, Shown(cell_run, "display_data", tabs)]

    def forget_ranks(self, cell_run: CellRunId) -> None:
        """Their output stays as it was shown."""
        self._ranked.pop(cell_run, None)

    def _note_rank(self, event: OutputEvent, cell: CellOutput) -> None:
        try:
            self._ranked.setdefault(event.cell_run, RankOutput()).note(event, json.loads(event.data))
        except (ValueError, KeyError, TypeError):
            return  # no cell of ours has sent that
        cell.name_all()

    def _cell(self, cell_run: CellRunId) -> CellOutput:
        cell = self._cells.get(cell_run)
        if cell is None:
            cell = CellOutput(cell_run, lambda task_id: self._is_own_task(cell_run, task_id))
            self._cells[cell_run] = cell
            idle = [old for old in self._cells if old not in self._busy and old != cell_run]
            for old in idle[: len(self._cells) - MAX_CELLS]:
                del self._cells[old]
        self._cells.move_to_end(cell_run)
        return cell

    def _name_display(self, event: OutputEvent, content: dict[str, Any]) -> OutputEvent:
        """Give a task's display id a name of its own in the notebook; returns the event as it is to be shown.

        So two tasks that use one id do not meet, while a later task may update what an earlier one displayed.
        """
        display_id = content.get("transient", {}).get("display_id")
        if display_id is None:
            return event
        own = f"nbray-{event.task_id}-{display_id}"
        known = self._display_names
        if event.stream == "display_data" or own in known:
            known[own] = known[display_id] = own
        name = known.get(display_id, own)
        content["transient"] = {"display_id": name}
        while len(known) > MAX_DISPLAYS:
            known.popitem(last=False)
        move = self._moved.get(event.cell_run)
        if move is None or name in move.displays:
            return event
        move.displays.add(name)
        return event._replace(stream="display_data")  # what it updates stands in another place


def display_content(event: OutputEvent) -> dict[str, Any] | None:
    """The content of a display message, checked; None when a task sent something else under its name.

    >>> display_content(OutputEvent("c", 1, "f", "w", "clear_output", b'{"wait": true}'))
    {'wait': True}
    """
    try:
        content = json.loads(event.data)
    except ValueError:
        return None
    if not isinstance(content, dict):
        return None
    if event.stream == "clear_output":
        return {"wait": bool(content.get("wait"))}
    if event.stream == "error":
        traceback = content.get("traceback")
        if not isinstance(traceback, list):
            return None
        return {
            "ename": str(content.get("ename")), "evalue": str(content.get("evalue")),
            "traceback": [str(line) for line in traceback],
        }  # fmt: skip
    if event.stream not in ("display_data", "update_display_data"):
        return None
    parts = {name: content.get(name) or {} for name in ("data", "metadata", "transient")}
    return parts if all(isinstance(part, dict) for part in parts.values()) else None
