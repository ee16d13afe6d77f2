"""What a reader of a notebook sees of its tasks' output, on a clock that the test moves."""

from __future__ import annotations

import json
import re

from nbray.backends.backend import OutputEvent
from nbray.ids import CellRunId, TaskId
from nbray.notebook.cell_output import Shown
from nbray.notebook.output import OutputBuffer

CELL = CellRunId("cell-1")
ANSI = re.compile(r"\x1b\[\d+m")


def event(
    data: bytes | str, task: int = 1, stream: str = "stdout", name: str = "fit", cell_run: CellRunId = CELL
) -> OutputEvent:
    raw = data if isinstance(data, bytes) else data.encode()
    return OutputEvent(cell_run, TaskId(task), name, f"worker {task} (pid {4000 + task})", stream, raw)


def display(content: object, task: int = 1, stream: str = "display_data") -> OutputEvent:
    return event(json.dumps(content), task, stream)


def text_of(messages: list[Shown], stream: str = "stdout") -> str:
    texts = [m.content["text"] for m in messages if m.kind == "stream" and m.content["name"] == stream]
    return ANSI.sub("", "".join(texts))


class Notebook:
    """A buffer with a clock: what a reader sees after each event."""

    def __init__(self, own: frozenset[int] = frozenset()) -> None:
        self.buffer = OutputBuffer(lambda cell_run, task_id: task_id in own)
        self.now = 0.0
        self.messages: list[Shown] = []

    def prints(self, data: bytes | str, task: int = 1, stream: str = "stdout", name: str = "fit") -> None:
        self.buffer.handle(event(data, task, stream, name), self.now)

    def passes(self, seconds: float) -> list[Shown]:
        """Time passes; returns what was published meanwhile."""
        end = self.now + seconds
        before = len(self.messages)
        while (deadline := self.buffer.next_deadline()) <= end:
            self.now = max(self.now, deadline)
            self.messages += self.buffer.due(self.now)
        self.now = end
        return self.messages[before:]

    def ends(self) -> None:
        self.messages += self.buffer.flush(CELL, self.now)

    @property
    def text(self) -> str:
        return text_of(self.messages)
