"""What tasks ask: their questions wait here until a cell waits for remote work, and are then asked in that cell.

One at a time, on the main thread, since Jupyter takes input for the cell that runs there. A task at a breakpoint is talked to
until it goes on; other tasks wait for their turn.
"""

from __future__ import annotations

import builtins
import getpass
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from IPython.core.error import StdinNotImplementedError

from nbray.backends.backend import Backend, OutputEvent
from nbray.ids import NO_TASK, CellRunId, TaskId
from nbray.notebook.cell_runs import CellRuns
from nbray.worker_input import Question

if TYPE_CHECKING:
    from nbray.notebook.publisher import Publisher

SLICE_SECONDS = 0.25
LOOK_SECONDS = 1.0
"""So often it is looked whether a task still talks for which others wait: it may have died."""
MOST_STOPPED = 1000
NO_FRONTEND = "whoever runs this notebook takes no input (as nbclient and papermill, and cells run with allow_stdin=False)"


class Asked(NamedTuple):
    """A question of a task."""

    event: OutputEvent
    question: Question

    @property
    def task_id(self) -> TaskId:
        """The task that asks."""
        return self.event.task_id


class Queue:
    """Who asks next; any thread puts questions in, the main thread takes them out."""

    def __init__(self) -> None:
        self._waiting: deque[Asked] = deque()
        self.talker = NO_TASK
        """The task that is talked to until it says that this is over."""
        self.looked = 0.0

    def put(self, event: OutputEvent) -> bool:
        """A question, or the end of a talk; whether it is a question."""
        question = msgspec.json.decode(event.data, type=Question)
        if not question.over:
            self._waiting.append(Asked(event, question))
        elif self.talker == event.task_id:
            self.talker = NO_TASK
        return not question.over

    def next(self) -> Asked | None:
        """The question that is to be asked now."""
        for asked in list(self._waiting):
            if self.talker in (NO_TASK, asked.task_id):
                return asked
        return None

    def is_due(self) -> bool:
        """Whether there is one, or the task should be looked after that others wait for."""
        return bool(self._waiting) and (self.next() is not None or self.overdue)

    @property
    def overdue(self) -> bool:
        """Whether nobody has looked for a while if the task that is talked to still lives."""
        return self.talker != NO_TASK and time.monotonic() > self.looked + LOOK_SECONDS

    def take(self, asked: Asked) -> None:
        """It is asked now, or is not to be asked any more."""
        self._waiting.remove(asked)

    def of(self, cell_run: CellRunId) -> list[OutputEvent]:
        """The questions of a cell's tasks."""
        return [asked.event for asked in list(self._waiting) if asked.event.cell_run == cell_run]

    def drop(self, cell_run: CellRunId) -> None:
        """The tasks of a cell ask no more."""
        for asked in [asked for asked in list(self._waiting) if asked.event.cell_run == cell_run]:
            self.take(asked)

    @property
    def busy(self) -> bool:
        """Whether there are questions, or one is talked to."""
        return bool(self._waiting) or self.talker != NO_TASK


class Prompts:
    """Asks what tasks ask; an interlude of waits of the main thread."""

    def __init__(
        self, shell: Any, runs: CellRuns, show_output: Callable[[OutputEvent], None], tell: Callable[[CellRunId, str], None],
        move: Callable[[TaskId, CellRunId], None],
    ) -> None:  # fmt: skip
        """`show_output` puts on the page what has been printed before a question, `tell` a line of our own.

        `move` lets a task's output appear in another cell from now on.
        """
        self._kernel = getattr(shell, "kernel", None)
        self._runs = runs
        self._show_output = show_output
        self._tell, self._move = tell, move
        self._queue = Queue()
        self._stopped: dict[CellRunId, None] = {}
        """Cells that were stopped: their tasks ask no more."""
        self._arrived = threading.Event()
        self._backend: Backend | None = None
        self._asks = False

    def attach(self, backend: Backend) -> None:
        """Ask what the tasks of this backend ask."""
        self._backend = backend
        backend.interrupt_waits(self)

    def put(self, event: OutputEvent) -> None:
        """A task asks; any thread."""
        asks, run = self._queue.put(event), self._runs.get(event.cell_run)
        if event.cell_run in self._stopped:
            self._queue.drop(event.cell_run)
        elif asks and (run is None or run.ended):
            self._say_that_it_waits(event)
        self._arrived.set()

    def stop(self, cell_run: CellRunId) -> None:
        """A cell is being stopped: its tasks ask no more. Signal handlers may call it."""
        self._stopped[cell_run] = None
        if len(self._stopped) > MOST_STOPPED:
            del self._stopped[next(iter(self._stopped))]
        self._queue.drop(cell_run)

    def end_cell(self, cell_run: CellRunId) -> None:
        """The code of a cell has ended: what its tasks ask waits for another cell, and that is said."""
        for event in self._queue.of(cell_run):
            self._say_that_it_waits(event)

    def _say_that_it_waits(self, event: OutputEvent) -> None:
        text = f"nbray: {event.task} waits for input: %nbray debug asks, or the next cell that waits for tasks\n"
        self._tell(event.cell_run, text)

    def ask_all(self) -> bool:
        """Ask all that tasks ask now, until none is talked to any more; False where there was nothing."""
        found = self._queue.busy
        while self._queue.busy:
            self._arrived.clear()
            if self._queue.is_due() or self._queue.overdue:
                self.play()
            else:
                self._arrived.wait(SLICE_SECONDS)
        return found

    def is_due(self) -> bool:
        """See `Interlude`."""
        return not self._asks and self._queue.is_due()

    def play(self) -> None:
        """See `Interlude`: ask one question, and give the task the answer."""
        assert self._backend is not None
        self._asks = True
        try:
            asked = self._queue.next()
            if asked is None:
                self._look_after(self._queue.talker)
            else:
                self._queue.take(asked)
                if self._backend.reply(asked.task_id, {}):
                    self._ask(self._backend, asked)
        finally:
            self._asks = False

    def _look_after(self, talker: TaskId) -> None:
        assert self._backend is not None
        self._queue.looked = time.monotonic()
        if not self._backend.is_started(talker):
            self._queue.talker = NO_TASK

    def _ask(self, backend: Backend, asked: Asked) -> None:
        question = asked.question
        self._show_output(asked.event)
        if question.talk and self._queue.talker != asked.task_id:
            self._queue.talker = asked.task_id
            if self._takes_input() and self._begin_talk(asked.event):
                backend.reply(asked.task_id, {"text": "where"})
                return
        try:
            answer = {"text": self._read(question)}
        except StdinNotImplementedError:
            answer = {"refused": NO_FRONTEND}
        except KeyboardInterrupt:
            raise KeyboardInterrupt("stopped while a task asked") from None  # ipykernel's frames tell nobody anything
        if "refused" in answer:
            self._queue.talker = NO_TASK
        if not backend.reply(asked.task_id, answer):
            sys.stderr.write(f"nbray: {asked.event.task} has ended meanwhile, and did not get the answer.\n")

    def _takes_input(self) -> bool:
        return self._kernel is None or bool(getattr(self._kernel, "_allow_stdin", True))

    def _read(self, question: Question) -> str:
        if self._kernel is not None:
            read = self._kernel.getpass if question.password else self._kernel.raw_input
            return str(read(question.prompt))
        if not sys.stdin.isatty():
            raise StdinNotImplementedError
        return getpass.getpass(question.prompt) if question.password else builtins.input(question.prompt)

    def _begin_talk(self, event: OutputEvent) -> bool:
        """Say who is talked to; whether that belongs to another cell, which has shown where it stands. It speaks here now."""
        run, here = self._runs.get(event.cell_run), self._runs.of_thread(threading.get_ident())
        elsewhere = run is not None and here is not None and run is not here
        if elsewhere and here is not None:
            self._move(event.task_id, here.id)
        named = event.task.startswith("cell ")  # as the task of a %%remote cell is
        cell = f" of cell {run.label}" if elsewhere and run is not None and not named else ""
        print(  # noqa: T201 - for who is about to type
            f"nbray: {event.task}{cell} is in the debugger on {event.worker}; n: next line, c: go on, q: end it, h: help"
        )
        return elsewhere


_opened: Prompts | None = None


def open_in(shell: Any, runs: CellRuns, publisher: Publisher) -> Prompts:
    """What asks in this notebook from now on."""
    global _opened
    _opened = Prompts(shell, runs, publisher.show_output, publisher.tell, publisher.move)
    publisher.on_prompt = _opened.put
    return _opened


def ask_all() -> bool:
    """Ask here what tasks ask now; False where none does."""
    return _opened is not None and _opened.ask_all()
