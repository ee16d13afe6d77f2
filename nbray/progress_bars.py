"""`nbray.progress`: progress bars that look the same in a script, in a notebook, and inside tasks.

A bar tells its state at most four times a second: inside a task to the cell that submitted it, where bars of many tasks with
one description become one line; in a driver to its own cell, or to the terminal.
"""

from __future__ import annotations

import difflib
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NoReturn

from nbray import session
from nbray.engine import task_context
from nbray.errors import UsageError, WrongType
from nbray.ids import CellRunId
from nbray.progress_board import STREAM, BarState
from nbray.terminal_bars import BARS

INTERVAL = 0.25
"""Seconds between two states of a bar that are told; its last one always is."""

_COSMETIC = (
    "ncols", "mininterval", "maxinterval", "miniters", "ascii", "unit_scale", "dynamic_ncols", "smoothing", "bar_format",
    "position", "unit_divisor", "write_bytes", "lock_args", "nrows", "colour", "delay", "gui", "file",
)  # fmt: skip
"""What tqdm takes and nothing here depends on."""

_numbers = itertools.count(1)

Show = Callable[[CellRunId, BarState], None]
_shown_by: Show | None = None


def show_with(show: Show | None) -> None:
    """From now on the driver's own bars go there, with their cell runs; None: to the terminal. A notebook calls this."""
    global _shown_by
    _shown_by = show


class Teller:
    """Tells the states of one bar, to where the thread that made it belongs."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.bar = next(_numbers)
        self.due = time.monotonic() + INTERVAL
        """When the next state is told that is not the last."""
        self._context = task_context.current()
        self._cell_run = session.current_cell_run()

    def is_due(self) -> bool:
        """Whether it is time to tell a state that is not the last."""
        return time.monotonic() >= self.due

    def tell(self, state: BarState) -> None:
        """Tell it now; after the last one no other is due."""
        self.due = math.inf if state.closed else time.monotonic() + INTERVAL
        if self._context is not None:
            self._context.emit(STREAM, state.encode())
        elif _shown_by is not None:
            _shown_by(self._cell_run, state)
        else:
            BARS.show(None, "", state)


class Progress:
    """A progress bar over an iterable, or one that `update` moves; tqdm's interface, inside tasks too.

    Bars of many tasks that begin with the same `desc` are shown as one, with sums over all. Arguments of tqdm that only
    change how a bar looks are taken and ignored.

    >>> import nbray
    >>> sum(nbray.progress(range(10), desc="adding", disable=True))
    45
    """

    def __init__(
        self, iterable: Iterable[Any] | None = None, desc: str | None = None, total: float | None = None,
        leave: bool | None = True, unit: str = "it", *, initial: float = 0, postfix: Mapping[str, Any] | str | None = None,
        disable: bool | None = False, **cosmetic: Any,
    ) -> None:  # fmt: skip
        _refuse_unknown(cosmetic)
        if isinstance(iterable, (int, float)):
            raise WrongType(f"nbray.progress({iterable!r}): expected something to go through, or total={iterable!r}")
        if total is not None and (not isinstance(total, (int, float)) or isinstance(total, bool) or total < 0):
            raise UsageError(f"total={total!r}: expected how many items will come, or leave it out")
        if total is None and hasattr(iterable, "__len__"):
            total = _length(iterable)
        self.iterable = iterable
        self.desc = desc or ""
        self.total = total
        self.leave = leave is not False
        self.unit = unit
        self.n = initial
        self.disable = bool(disable)
        self.postfix = ""
        self._began = time.monotonic()
        self._teller = Teller(self.desc)
        self._closed = False
        if postfix:
            set_it = self.set_postfix if isinstance(postfix, Mapping) else self.set_postfix_str
            set_it(postfix, refresh=False)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        if self.iterable is None:
            raise WrongType("this nbray.progress goes through nothing: give it an iterable first, or move it by update()")
        teller, clock = self._teller, time.monotonic
        try:
            for each in self.iterable:
                yield each
                self.n += 1
                if clock() >= teller.due:
                    self._tell()
        finally:
            self.close()

    def __len__(self) -> int:
        if self.total is None:
            raise TypeError("this nbray.progress does not know how many items come: give it total=")
        return int(self.total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and not sys.is_finalizing():
            self.close()

    def __repr__(self) -> str:
        of = "" if self.total is None else f" of {self.total:g}"
        return f"progress({self.desc!r}, {self.n:g}{of}{', closed' if self._closed else ''})"

    def update(self, n: float = 1) -> None:
        """So many more are done."""
        self.n += n
        if self._teller.is_due():
            self._tell()

    def set_description(self, desc: str | None = None, refresh: bool = True) -> None:
        """Say something else in front of the bar."""
        self.desc = desc or ""
        self._may_tell(refresh)

    set_description_str = set_description

    def set_postfix(self, ordered_dict: Mapping[str, Any] | None = None, refresh: bool = True, **values: Any) -> None:
        """Say these values behind the bar."""
        said = {**(ordered_dict or {}), **values}
        self.set_postfix_str(", ".join(f"{name}={_short(value)}" for name, value in said.items()), refresh)

    def set_postfix_str(self, s: str = "", refresh: bool = True) -> None:
        """Say this behind the bar."""
        self.postfix = str(s)
        self._may_tell(refresh)

    def reset(self, total: float | None = None) -> None:
        """Begin again, with another total if one is given."""
        self.n, self._began, self._closed = 0, time.monotonic(), False
        self.total = self.total if total is None else total
        self._tell()

    def refresh(self) -> None:
        """Tell the state now."""
        self._tell()

    def clear(self) -> None:
        """There for tqdm's sake: what prints makes room by itself."""

    def close(self) -> None:
        """The work is over, complete or not; idempotent."""
        if not self._closed:
            self._closed = True
            self._tell()

    @classmethod
    def write(cls, s: object, file: Any = None, end: str = "\n") -> None:
        """Print something without disturbing the bars."""
        BARS.interrupt()
        print(s, file=file, end=end)

    def _may_tell(self, refresh: bool) -> None:
        if refresh and self._teller.is_due():
            self._tell()

    def _tell(self) -> None:
        if not self.disable:
            self._teller.tell(
                BarState(
                    bar=self._teller.bar, key=self._teller.key, desc=self.desc, n=self.n, total=self.total, unit=self.unit,
                    postfix=self.postfix, elapsed=time.monotonic() - self._began, closed=self._closed, leave=self.leave,
                )
            )  # fmt: skip


progress = Progress
"""The public name, as one calls it."""


def _refuse_unknown(given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in _COSMETIC:
            known = ["iterable", "desc", "total", "leave", "unit", "initial", "postfix", "disable", *_COSMETIC]
            near = difflib.get_close_matches(name, known, 1)
            _refuse_name(name, f"did you mean {near[0]}=?" if near else f"it knows {', '.join(known[:8])}")


def _refuse_name(name: str, hint: str) -> NoReturn:
    raise UsageError(f"nbray.progress has no argument {name}=: {hint}")


def _length(iterable: Any) -> int | None:
    try:
        return len(iterable)
    except TypeError:  # nbray.map over an iterable without a length has the method, and says so
        return None


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
