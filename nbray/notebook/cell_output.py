"""Owns the output of one cell run: its tasks' lines, who may show an unfinished one, prefixes, limits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nbray.backends.backend import OutputEvent
from nbray.ids import CellRunId, TaskId
from nbray.notebook.cell_progress import CellProgress
from nbray.notebook.lines import LineAssembler
from nbray.progress_board import BarState
from nbray.wording import one_line, size_text

INTERVAL = 0.1
"""Seconds from the first piece of output to the message that carries it."""
QUIET = 2.0
"""A task may show its unfinished line when no other task printed in the cell for so long."""
HELD = 5.0
"""After so many seconds an unfinished line is shown, ended by us."""
TASK_LIMIT = 320 * 1024
"""The engine cuts the text of a task at 256 KiB and says which file has the rest; this is the net below."""
CELL_LIMIT = 2 * 1024 * 1024
DISPLAY_LIMIT = 64 * 1024 * 1024
FREE_REWRITE = 1024
"""A line that is rewritten in place does not count toward the limits while it is shorter than this."""
NEVER = float("inf")


class Shown(NamedTuple):
    """One message for a cell: `kind` and `content` as on Jupyter's iopub channel."""

    cell_run: CellRunId
    kind: str
    content: dict[str, Any]


class _Task:
    """One task that printed or displayed something."""

    __slots__ = ("id", "last_print", "name", "prefix", "shown", "streams")

    def __init__(self, event: OutputEvent) -> None:
        self.id = event.task_id
        self.name = one_line(event.task, 40)
        worker = one_line(event.worker.partition(" (")[0], 40)
        self.prefix = f"\x1b[36m({self.name}, {worker})\x1b[0m "
        self.shown = 0
        self.last_print = -NEVER
        self.streams: dict[str, LineAssembler] = {}

    def assembler(self, stream: str) -> LineAssembler:
        if stream not in self.streams:
            self.streams[stream] = LineAssembler()
        return self.streams[stream]


class _Text(NamedTuple):
    """Text that is due; `continues` when it goes on in a line whose beginning was due earlier."""

    task: _Task
    stream: str
    text: str
    continues: bool


class CellOutput:
    """Everything that the tasks of one cell run print and display, until it is published."""

    def __init__(self, cell_run: CellRunId, is_own_task: Callable[[TaskId], bool]) -> None:
        self.id = cell_run
        self._is_own_task = is_own_task
        self._tasks: dict[TaskId, _Task] = {}
        self._printers = 0
        self._names_all = False
        self._pending: list[_Text | Shown] = []
        self._pending_since = NEVER
        self._held: dict[tuple[_Task, str], float] = {}
        """Unfinished lines, and when their first piece came."""
        self._open_line: tuple[_Task, str] | None = None
        """The line at the end of the cell that was published without its end."""
        self._last_printer: _Task | None = None
        self._last_other = -NEVER
        """When a task other than the last printer printed last."""
        self._shown = 0
        self._displayed = 0
        self._hidden = _Hidden()
        self._progress = CellProgress(cell_run)

    def handle_progress(self, event: OutputEvent, state: BarState, now: float) -> None:
        """Take in the state of a progress bar."""
        self._progress.handle(event.task_id, event.task, state, now)

    def handle_text(self, event: OutputEvent, now: float) -> None:
        """Take in a piece of stdout or stderr."""
        task = self._task(event)
        room = min(TASK_LIMIT - task.shown, CELL_LIMIT - self._shown)
        if len(event.data) > room:
            self._hidden.add(task.name, len(event.data) - max(0, room))
        if room <= 0:
            return
        self._note_printer(task, now)
        assembler = task.assembler(event.stream)
        continues = assembler.continues
        lines = assembler.feed(event.data[:room])
        if lines:
            self._held.pop((task, event.stream), None)
            self._add(_Text(task, event.stream, lines, continues), now)
        if assembler.partial:
            self._held.setdefault((task, event.stream), now)
        if len(event.data) > room or len(assembler.partial) > TASK_LIMIT // 4:
            self._release(task, event.stream, now, ended=True)

    def handle_display(self, event: OutputEvent, content: dict[str, Any], now: float) -> None:
        """Take in a display, an update of one, clear_output or an error."""
        task = self._task(event)
        for stream in task.streams:
            self._release(task, stream, now)
        message = Shown(self.id, event.stream, content)
        if self._replace_update(message):
            return
        if self._displayed + len(event.data) > DISPLAY_LIMIT:
            self._hidden.add(task.name, len(event.data))
            return
        if event.stream != "update_display_data":
            self._displayed += len(event.data)
        self._add(message, now)

    def name_all(self) -> None:
        """From now on each line begins with its task, also while only one prints."""
        self._names_all = True

    def bars_again(self) -> list[Shown]:
        """The progress bars, after the output was cleared."""
        self._progress.clear()
        return [Shown(self.id, *message) for message in self._progress.show()]

    def deadline(self) -> float:
        """When `publish` has something to give, if nothing else comes; `NEVER` when there is nothing."""
        held = min((self._held_until(task, since) for (task, _), since in self._held.items()), default=NEVER)
        return min(self._pending_since + INTERVAL, held, self._hidden.deadline(), self._progress.deadline())

    def publish(self, now: float, everything: bool = False, *, whole_lines: bool = False) -> list[Shown]:
        """What is due, in order; with `everything` also the unfinished lines, because the tasks have ended.

        With `whole_lines` none of these.
        """
        for (task, stream), since in list(self._held.items()) if not whole_lines else ():
            if everything or self._held_until(task, since) <= now:
                self._release(task, stream, now, ended=not everything and now - since >= HELD)
        composer = _Composer(self.id)
        for item in self._pending:
            if isinstance(item, _Text):
                self._compose_text(composer, item)
                continue
            composer.add_message(item)
            if item.kind == "clear_output":
                self._progress.clear()
            if item.kind != "update_display_data":
                self._break_open_line()
        self._pending, self._pending_since = [], NEVER
        shown = composer.finish() + [Shown(self.id, *message) for message in self._progress.publish(now, everything)]
        return shown + self._hidden.publish(self.id, now, everything)

    def _task(self, event: OutputEvent) -> _Task:
        task = self._tasks.get(event.task_id)
        if task is None:
            task = self._tasks[event.task_id] = _Task(event)
        return task

    def _note_printer(self, task: _Task, now: float) -> None:
        if task.last_print == -NEVER:
            self._printers += 1
        if task is not self._last_printer:
            self._last_other = self._last_printer.last_print if self._last_printer else -NEVER
            self._last_printer = task
        task.last_print = now

    def _held_until(self, task: _Task, since: float) -> float:
        """When an unfinished line is shown: soon while its task prints alone, else at the latest after `HELD`."""
        last = self._last_printer
        others_printed = self._last_other if last is task or last is None else last.last_print
        return max(since + INTERVAL, min(others_printed + QUIET, since + HELD))

    def _release(self, task: _Task, stream: str, now: float, ended: bool = False) -> None:
        """Make the unfinished line of a stream due."""
        self._held.pop((task, stream), None)
        assembler = task.streams[stream]
        continues, text = assembler.continues, assembler.take_partial()
        if ended and text:
            assembler.break_line()
            text += "\n"
        if text:
            self._add(_Text(task, stream, text, continues), now)

    def _add(self, item: _Text | Shown, now: float) -> None:
        self._pending_since = min(self._pending_since, now)
        self._pending.append(item)
        if isinstance(item, _Text):
            rewritten = "\r" in item.text and not item.text.endswith("\n")
            size = max(0, len(item.text) - (FREE_REWRITE if rewritten else 0))
            item.task.shown += size
            self._shown += size

    def _replace_update(self, message: Shown) -> bool:
        """Of several updates of one display within a message's time only the last is sent."""
        if message.kind != "update_display_data":
            return False
        for index, item in enumerate(self._pending):
            if isinstance(item, Shown) and item.kind == message.kind and _same_display(item, message):
                self._pending[index] = message
                return True
        return False

    def _compose_text(self, composer: _Composer, item: _Text) -> None:
        if self._open_line is not None and self._open_line[0] is not item.task:
            composer.add_text(self._open_line[1], "\n")
            self._break_open_line()
        goes_on = item.continues and self._open_line == (item.task, item.stream)
        composer.add_text(item.stream, self._prefixed(item, goes_on))
        if not item.text.endswith("\n"):
            self._open_line = (item.task, item.stream)
        elif self._open_line == (item.task, item.stream):
            self._open_line = None

    def _break_open_line(self) -> None:
        if self._open_line is not None:
            task, stream = self._open_line
            task.streams[stream].break_line()
            self._open_line = None

    def _prefixed(self, item: _Text, goes_on: bool) -> str:
        if (self._printers < 2 and not self._names_all) or self._is_own_task(item.task.id):
            return item.text
        lines = item.text.split("\n")
        end = [] if lines[-1] else [lines.pop()]
        named = [item.task.prefix + line.removeprefix("\r") for line in lines]
        if goes_on:
            named[0] = lines[0]
        return "\n".join(named + end)


def _same_display(one: Shown, other: Shown) -> bool:
    return bool(one.content["transient"] == other.content["transient"])


class _Composer:
    """Joins text of one stream into one message, in order with the other messages."""

    def __init__(self, cell_run: CellRunId) -> None:
        self._cell_run = cell_run
        self._messages: list[Shown] = []
        self._stream = ""
        self._pieces: list[str] = []

    def add_text(self, stream: str, text: str) -> None:
        if stream != self._stream:
            self._end_text()
            self._stream = stream
        self._pieces.append(text)

    def add_message(self, message: Shown) -> None:
        self._end_text()
        self._messages.append(message)

    def finish(self) -> list[Shown]:
        self._end_text()
        return self._messages

    def _end_text(self) -> None:
        if self._pieces:
            content = {"name": self._stream, "text": "".join(self._pieces)}
            self._messages.append(Shown(self._cell_run, "stream", content))
            self._pieces = []


class _Hidden:
    """What went over the limits: counted, and told in one line of the cell that is updated once a second."""

    def __init__(self) -> None:
        self._bytes = 0
        self._names: dict[str, None] = {}
        self._told_bytes = 0
        self._told_at = -NEVER

    def add(self, name: str, size: int) -> None:
        self._bytes += size
        if len(self._names) < 100:
            self._names[name] = None

    def deadline(self) -> float:
        return NEVER if self._bytes == self._told_bytes else self._told_at + 1.0

    def publish(self, cell_run: CellRunId, now: float, everything: bool) -> list[Shown]:
        if self.deadline() > now and not (everything and self._bytes > self._told_bytes):
            return []
        kind = "update_display_data" if self._told_bytes else "display_data"
        self._told_bytes, self._told_at = self._bytes, now
        transient = {"display_id": f"nbray-hidden-{cell_run}"}
        return [Shown(cell_run, kind, {"data": {"text/plain": self._text()}, "metadata": {}, "transient": transient})]

    def _text(self) -> str:
        first, *others = self._names
        who = f"{first} and {len(others)} others" if len(others) > 1 else " and ".join(self._names)
        return (
            f"[nbray] {size_text(self._bytes)} more of the output of {who} is hidden: a cell shows "
            f"{size_text(TASK_LIMIT)} a task, {size_text(CELL_LIMIT)} in all."
        )
