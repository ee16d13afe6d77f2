"""Runs cells in this process as a worker would: under the worker's shell, as a task whose output is collected."""

from __future__ import annotations

import builtins
import contextlib
import io
import itertools
import json
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from nbray import serialization
from nbray.engine import task_context
from nbray.engine.task_context import TaskContext
from nbray.ids import CellRunId, TaskId
from nbray.notebook import remote_shell
from nbray.notebook.remote_cell import CellCode, CellOutcome, run_cell

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_task_ids = itertools.count(1)


def plain(lines: list[str]) -> str:
    """Lines of a rendered traceback without their colours."""
    return _ANSI.sub("", "\n".join(lines))


class Shown(list[tuple[str, Any]]):
    """What came from a cell: stream and text, or stream and decoded JSON; neighbouring prints joined."""

    def add(self, task_id: TaskId, stream: str, data: bytes) -> None:
        if stream not in ("stdout", "stderr"):
            self.append((stream, json.loads(data)))
        elif self and self[-1][0] == stream:
            self[-1] = stream, self[-1][1] + data.decode()
        else:
            self.append((stream, data.decode()))

    def texts(self) -> list[str]:
        """Each piece as short text."""
        return [part if isinstance(part, str) else part["data"]["text/plain"] for _, part in self]

    def data(self) -> list[dict[str, Any]]:
        """What was displayed, by kind of data."""
        return [part["data"] for stream, part in self if stream.endswith("display_data")]


class Ran(NamedTuple):
    outcome: CellOutcome
    shown: Shown


class _Prints(io.TextIOBase):
    def __init__(self, name: str) -> None:
        self._name = name

    def write(self, text: str) -> int:
        context = task_context.current()
        if text and context is not None:
            context.emit(self._name, text.encode())
        return len(text)


class as_task:  # noqa: N801 - and no generator, since contextlib sets attributes of exceptions, which some refuse
    """The thread works for a task within this block; at its end the task has ended."""

    def __init__(self, shown: Shown, name: str = "cell") -> None:
        task_id = TaskId(next(_task_ids))
        self._context = TaskContext(task_id, name, CellRunId("run"), 1, "worker 0", shown.add)

    def __enter__(self) -> None:
        self._outer = task_context.current(), sys.stdout, sys.stderr
        task_context.enter(self._context)
        sys.stdout, sys.stderr = _Prints("stdout"), _Prints("stderr")

    def __exit__(self, *_: object) -> None:
        task_context.end(self._context.task_id)
        outer, sys.stdout, sys.stderr = self._outer
        task_context.enter(outer)


def run(
    source: str, *wanted: str, modules: Mapping[str, str] | None = None, label: str = "[4]", shown: Shown | None = None,
    pack: Callable[[CellOutcome], CellOutcome] = lambda outcome: serialization.loads(
        serialization.encode(serialization.dumps(outcome))
    ), **options: Any,
) -> Ran:  # fmt: skip
    """Run a cell; its outcome travels as it would. Inputs and other options of `run_cell` go by name."""
    inputs = {name: options.pop(name) for name in list(options) if name not in ("namespace", "only_wanted")}
    shown = Shown() if shown is None else shown
    with as_task(shown):
        code = CellCode(source, f"/tmp/ipykernel_1/{label}.py", label)
        return Ran(pack(run_cell(code, inputs, modules or {}, wanted, **options)), shown)


@contextlib.contextmanager
def worker_process() -> Iterator[None]:
    """This process is a worker within this block; what IPython and matplotlib change in it is put back."""
    main, known = sys.modules["__main__"], set(vars(builtins))
    hooks, backend = (sys.displayhook, sys.excepthook), os.environ.get("MPLBACKEND")
    try:
        with warnings.catch_warnings():
            yield
    finally:
        remote_shell.RemoteShell.clear_instance()
        remote_shell._the_shell = None
        sys.modules["__main__"] = main
        sys.displayhook, sys.excepthook = hooks
        for name in set(vars(builtins)) - known:
            delattr(builtins, name)
        os.environ.pop("MPLBACKEND", None)
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
