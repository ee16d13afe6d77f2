"""tqdm inside tasks: its bars become nbray's, which find their cell and share a line with those of other tasks."""

from __future__ import annotations

import io
import sys
from types import ModuleType
from typing import Any

from nbray.engine import task_context
from nbray.import_hooks import when_imported
from nbray.progress_bars import Teller
from nbray.progress_board import BarState

_FILE = 4
"""The place of tqdm's argument `file` among those that may be given without a name."""


def take_tqdm() -> None:
    """Route the bars of this process's tasks, as soon as they import tqdm; a worker calls this once."""
    when_imported("tqdm.std", _route)
    when_imported("tqdm.notebook", _use_plain_bars)


class _Nowhere(io.StringIO):
    """The file of a bar that is told instead of drawn."""

    def write(self, text: str) -> int:
        return len(text)


def _use_plain_bars(notebook: ModuleType) -> None:
    """A worker has no page for widgets; the cell shows what the plain bars tell."""
    std = sys.modules["tqdm.std"]
    notebook.tqdm = notebook.tqdm_notebook = std.tqdm  # type: ignore[attr-defined]
    notebook.trange = notebook.tnrange = std.trange  # type: ignore[attr-defined]


def _route(std: ModuleType) -> None:
    kind: Any = std.tqdm
    begin, display, close = kind.__init__, kind.display, kind.close

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it replaces tqdm's
        if task_context.current() is not None and len(args) <= _FILE and _is_for_people(kwargs.get("file")):
            kwargs["file"] = _Nowhere()
            description = kwargs.get("desc", args[1] if len(args) > 1 else None)
            self.nbray_teller = Teller(description or "")
        begin(self, *args, **kwargs)

    def display_or_tell(self: Any, msg: str | None = None, pos: int | None = None) -> Any:
        teller = getattr(self, "nbray_teller", None)
        if teller is None:
            return display(self, msg, pos)
        if teller.is_due():
            teller.tell(_state(self, teller))
        return True

    def close_and_tell(self: Any) -> None:
        teller = getattr(self, "nbray_teller", None)
        if teller is not None and not getattr(self, "disable", True):
            teller.tell(_state(self, teller, closed=True))
        close(self)

    kind.__init__, kind.display, kind.close = __init__, display_or_tell, close_and_tell


def _is_for_people(file: Any) -> bool:
    return file is None or file in (sys.stderr, sys.stdout)


def _state(bar: Any, teller: Teller, *, closed: bool = False) -> BarState:
    return BarState(
        bar=teller.bar, key=teller.key, desc=(bar.desc or "").removesuffix(": "), n=float(bar.n),
        total=None if bar.total is None else float(bar.total), unit=str(bar.unit), postfix=str(bar.postfix or ""),
        elapsed=float(bar.format_dict["elapsed"]), closed=closed, leave=bar.leave is not False,
    )  # fmt: skip
