"""Owns what the ranks of one cell run have printed and displayed, each for itself, until it is shown rank by rank.

Pure: events go in, one page for each rank comes out. It keeps at most as much as the cell showed while they ran.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nbray.backends.backend import OutputEvent
from nbray.ids import TaskId
from nbray.notebook.lines import LineAssembler
from nbray.notebook.ranks import Rank
from nbray.wording import one_line

TEXT_LIMIT = 320 * 1024
"""Bytes of text of one rank."""
ALL_TEXT_LIMIT = 2 * 1024 * 1024
DISPLAY_LIMIT = 64 * 1024 * 1024
"""Bytes of displays of all ranks."""


@dataclass
class Part:
    """One thing that a rank shows: text, with ANSI colours, or a display by kind of data."""

    text: str = ""
    is_error: bool = False
    data: Mapping[str, Any] | None = None
    display_id: str | None = None


class RankPage(NamedTuple):
    """Everything about one rank."""

    rank: Rank
    worker: str
    state: str
    """ "done", "failed", "stopped", or "" where nothing is known of its end."""
    seconds: float | None
    parts: tuple[Part, ...]
    hidden: int
    """Bytes that are not shown."""


@dataclass
class _Page:
    rank: Rank
    worker: str = ""
    state: str = ""
    seconds: float | None = None
    parts: list[Part] = field(default_factory=list)
    lines: dict[str, LineAssembler] = field(default_factory=dict)
    text: int = 0
    hidden: int = 0
    clears: bool = False
    """What comes next takes the place of what is there."""

    def add(self, part: Part) -> None:
        if self.clears:
            self.parts.clear()
            self.clears = False
        last = self.parts[-1] if self.parts else None
        if last is not None and part.data is None and last.data is None and last.is_error == part.is_error:
            last.text += part.text
        else:
            self.parts.append(part)

    def release(self) -> None:
        """Show the unfinished lines."""
        for stream, lines in self.lines.items():
            self.add_text(stream, lines.take_partial())

    def add_text(self, stream: str, text: str) -> None:
        if text:
            self.add(Part(text, is_error=stream == "stderr"))


class RankOutput:
    """The output of the ranks of one cell run."""

    def __init__(self) -> None:
        self._pages: dict[TaskId, _Page] = {}
        self._text = 0
        self._displayed = 0

    def note(self, event: OutputEvent, about: Mapping[str, Any]) -> None:
        """A rank has begun, or says how it ended."""
        page = self._pages.get(event.task_id)
        if page is None:
            page = self._pages[event.task_id] = _Page(Rank(int(about["number"]), int(about["world"]), str(about["label"])))
        page.worker = one_line(event.worker.partition(" (")[0], 40)
        if "seconds" not in about:
            page.state = ""  # also where it begins again since its worker died
            return
        page.release()
        page.seconds = float(about["seconds"])
        error = about.get("error")
        page.state = "done" if error is None else "stopped" if about.get("stopped") else "failed"
        if page.state == "failed":
            page.add(Part("\n".join(map(str, error or ())) + "\n", is_error=True))

    def handle_text(self, event: OutputEvent) -> None:
        """Take in a piece of stdout or stderr; that of tasks which are no ranks is not for here."""
        page = self._pages.get(event.task_id)
        if page is None:
            return
        room = max(0, min(TEXT_LIMIT - page.text, ALL_TEXT_LIMIT - self._text))
        data = event.data[:room]
        page.hidden += len(event.data) - len(data)
        page.text += len(data)
        self._text += len(data)
        if data:
            lines = page.lines.setdefault(event.stream, LineAssembler())
            page.add_text(event.stream, lines.feed(data))

    def handle_display(self, event: OutputEvent, content: Mapping[str, Any]) -> None:
        """Take in a display, an update of one, clear_output, or an error that was displayed."""
        page = self._pages.get(event.task_id)
        if page is None:
            return
        page.release()
        if event.stream == "clear_output":
            page.clears = True
            if not content.get("wait"):
                page.parts.clear()
        elif event.stream == "error":
            page.add(Part("\n".join(content["traceback"]) + "\n", is_error=True))
        elif event.stream == "update_display_data":
            self._update(content)
        elif self._displayed + len(event.data) > DISPLAY_LIMIT:
            page.hidden += len(event.data)
        else:
            self._displayed += len(event.data)
            page.add(Part(data=content["data"], display_id=content["transient"].get("display_id")))

    def _update(self, content: Mapping[str, Any]) -> None:
        wanted = content["transient"].get("display_id")
        for part in [part for page in self._pages.values() for part in page.parts if part.display_id == wanted]:
            part.data = content["data"]

    def pages(self, known: Mapping[TaskId, Rank], failures: Mapping[TaskId, str]) -> list[RankPage]:
        """One page a rank, in their order; of those `known` also where nothing came, and with what only their `failures` tell."""
        for task_id, rank in known.items():
            self._pages.setdefault(task_id, _Page(rank))
        for task_id, text in failures.items():
            page = self._pages.get(task_id)
            if page is not None and page.state != "failed":
                page.release()
                page.state = "failed"
                page.add(Part(text + "\n", is_error=True))
        found = []
        for page in self._pages.values():
            page.release()
            found.append(RankPage(page.rank, page.worker, page.state, page.seconds, tuple(page.parts), page.hidden))
        return sorted(found, key=lambda each: each.rank.number)
