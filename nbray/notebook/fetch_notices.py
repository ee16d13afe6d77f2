"""Says once that a handle was fetched because it was used, and of how much: a line a handle, and few lines a cell."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from nbray import session
from nbray.cluster_info import format_bytes
from nbray.ids import BACKGROUND, CellRunId
from nbray.memory_report import user_names

MOST_LINES = 5
"""So many handles are told of in one cell."""


class Notices:
    """How many lines the cell that runs has had."""

    def __init__(self) -> None:
        self._cell_run: CellRunId = BACKGROUND
        self._lines = 0

    def text(self, cell_run: CellRunId, line: str) -> str:
        """What to print for another handle: its line, then that there are more, then nothing."""
        if cell_run != self._cell_run:
            self._cell_run, self._lines = cell_run, 0
        self._lines += 1
        if self._lines == MOST_LINES + 1:
            return "nbray: this cell fetches more handles, of which it does not speak\n"
        return line if self._lines <= MOST_LINES else ""


_notices = Notices()


def tell(handle: object, type_name: str, size: int, seconds: float) -> None:
    """A handle was used as if it were its value, which is here now."""
    line = notice(name_of(handle, user_names()), type_name, size, seconds)
    sys.stderr.write(_notices.text(session.current_cell_run(), line))


def notice(name: str, type_name: str, size: int, seconds: float) -> str:
    """One line.

    >>> notice("df", "pandas.DataFrame", 29_900_000, 0.21), notice("", "numpy.ndarray", 65_536, 0.0)
    ('nbray: fetched df (pandas.DataFrame, 29.9 MB) in 0.21 s\\n', 'nbray: fetched a value (numpy.ndarray, 65.5 kB) in 0.00 s\\n')
    """
    return f"nbray: fetched {name or 'a value'} ({type_name}, {format_bytes(size)}) in {seconds:.2f} s\n"


def name_of(value: object, names: Mapping[str, Any]) -> str:
    """The name that a value has in the notebook; "" where it has none of its own."""
    return next((name for name, each in list(names.items()) if each is value and not name.startswith("_")), "")
