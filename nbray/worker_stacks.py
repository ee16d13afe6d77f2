"""What every worker is doing now: the stacks of its threads, as people read them."""

from __future__ import annotations

import html
import linecache
import re
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from nbray import session
from nbray.snapshot import WorkerSnapshot

_FRAME = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')
_PACKAGE = str(Path(__file__).parent)
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


def stack() -> Stacks:
    """The Python stacks of all workers at this moment; works for a worker in a busy loop or in compiled code too.

    Nothing is stopped. Blocks for as long as the workers take to answer, a fraction of a second, and 2 s at most.

    >>> import nbray
    >>> len(nbray.stack()) >= 1
    True
    """
    backend = session.current_backend()
    return read(backend.snapshot().workers, backend.dump_stacks())


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
