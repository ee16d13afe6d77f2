"""What every worker is doing now: the stacks of its threads, as people read them."""

from __future__ import annotations

import difflib
import html
import linecache
import re
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from nbray import introspection, session
from nbray.errors import UsageError
from nbray.objects import ObjectRef
from nbray.snapshot import WorkerSnapshot
from nbray.tables import Rows

_FRAME = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')
_PACKAGE = str(Path(__file__).parent)
MOST_TASKS = 1000
MOST_SHOWN = 8
_STDLIB = sysconfig.get_path("stdlib")


class Frame(NamedTuple):
    """One call."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        source = linecache.getline(self.file, self.line).strip()
        return f'  File "{self.file}", line {self.line}, in {self.function}' + (f"\n    {source}" if source else "")


class WorkerStack(NamedTuple):
    """The threads of one worker; each is a list of frames, the innermost one last."""

    worker: str
    state: str
    task: str
    threads: list[list[Frame]]

    def __str__(self) -> str:
        doing = f"runs {self.task}" if self.task else self.state
        shown = [[frame for frame in thread if not _is_ours(frame)] for thread in self.threads]
        shown = [thread for thread in shown if any(not _is_stdlib(frame) for frame in thread)]
        if not self.threads:
            return f"{self.worker}: {doing}; it did not answer: it is stopped, or deep inside the system"
        lines = [f"{self.worker}: {doing}"]
        for number, thread in enumerate(shown):
            lines += [f" thread {number + 1}:"] if len(shown) > 1 else []
            lines += map(str, thread)
        return "\n".join(lines)


class Stacks(list[WorkerStack]):
    """The stacks of all workers, shown without nbray's own frames."""

    def __repr__(self) -> str:
        return "\n\n".join(map(str, self)) or "(no workers)"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(repr(self))}</pre>"


def stack(task: str | ObjectRef | None = None) -> Stacks:
    """The Python stacks of all workers at this moment, or of those that run a task; also in a busy loop or in compiled code.

    `task` is its ref, its name, its id, or the number of its cell, as "[4]". Nothing is stopped. Blocks for as long as the
    workers take to answer, a fraction of a second, and 2 s at most. Raises UsageError where no such task runs.

    >>> import nbray
    >>> len(nbray.stack()) >= 1
    True
    """
    backend = session.current_backend()
    workers: Iterable[WorkerSnapshot] = backend.snapshot().workers
    if task is not None:
        slots = _slots_of(task, introspection.list_tasks(limit=MOST_TASKS))
        workers = [worker for worker in workers if f"worker {worker.slot}" in slots]
    return read(workers, backend.dump_stacks())


def _slots_of(task: str | ObjectRef, known: Rows) -> set[str]:
    """The workers that run a task. Raises UsageError where none does, with what is known of it."""
    wanted = f"{task.id:016x}" if isinstance(task, ObjectRef) else str(task)
    found = [row for row in known if wanted in (row.name, row.task_id, row.task_id.lstrip("0")) or _label(wanted) in row.cell]
    running = [row for row in found if row.state == "RUNNING"]
    if running:
        return {row.worker.partition(" (")[0] for row in running}
    others = dict.fromkeys(row.name for row in known if row.state == "RUNNING")
    shown = ", ".join(list(others)[:MOST_SHOWN]) or "none"
    near = _nearest(wanted, others)
    state = f"it is {found[0].state}" if found else f"did you mean {near}?" if near else "there is none"
    raise UsageError(f"stack({wanted!r}): no such task runs now: {state}. Running: {shown}")


def _label(wanted: str) -> str:
    """How cells are numbered where tasks are listed."""
    number = wanted.strip("[]")
    return f"[{number}]" if number.isdigit() else "[no cell]"


def _nearest(word: str, known: Iterable[str]) -> str:
    """The known word that is most like it, or ""."""
    return next(iter(difflib.get_close_matches(word, list(known), 1)), "")


def read(workers: Iterable[WorkerSnapshot], dumps: Mapping[int, str]) -> Stacks:
    """The stacks of these workers from what faulthandler wrote for each pid."""
    return Stacks(
        WorkerStack(f"worker {each.slot} (pid {each.pid})", each.state, each.task, parse(dumps.get(each.pid, "")))
        for each in workers
    )


def parse(text: str) -> list[list[Frame]]:
    """The threads of a dump, the main thread first; faulthandler writes it last, and the innermost frame of each first."""
    threads: list[list[Frame]] = []
    for line in text.splitlines():
        if line.endswith("(most recent call first):"):
            threads.append([])
        elif (frame := _FRAME.match(line)) is not None and threads:
            threads[-1].insert(0, Frame(frame[1], int(frame[2]) if frame[2].isdigit() else 0, frame[3]))
    return threads[::-1]


def _is_ours(frame: Frame) -> bool:
    return frame.file.startswith(_PACKAGE)


def _is_stdlib(frame: Frame) -> bool:
    return frame.file.startswith(("<frozen", _STDLIB)) and "site-packages" not in frame.file
