"""The worker's side of a cell that runs as several ranks: runs it as one of them, and reports how that begins and ends.

It reports on the way of its output, in order with what it prints, so that whoever shows that knows whose it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from nbray.notebook.item_cell import run_item
from nbray.notebook.ranks import STREAM, Rank
from nbray.notebook.remote_cell import TRACEBACK_ATTRIBUTE, CellCode
from nbray.notebook.remote_shell import emit
from nbray.notebook.shipment import Shipment


@contextmanager
def reporting(rank: Rank) -> Iterator[None]:
    """Tell the notebook that this rank begins, and how it ends."""
    about = rank._asdict()
    emit(STREAM, about)
    began = time.perf_counter()
    try:
        yield
    except BaseException as error:
        stopped = isinstance(error, KeyboardInterrupt)
        emit(STREAM, {**about, "seconds": time.perf_counter() - began, "error": error_lines(error), "stopped": stopped})
        raise
    emit(STREAM, {**about, "seconds": time.perf_counter() - began})


def error_lines(error: BaseException) -> list[str]:
    """An error of a cell as its worker rendered it, with ANSI colours; else its type and what it says."""
    lines = getattr(error, TRACEBACK_ATTRIBUTE, None)
    if isinstance(lines, list) and lines:
        return [str(line) for line in lines]
    return f"{type(error).__name__}: {error}".splitlines()


def run_rank(
    rank: Rank, code: CellCode, shipment: Shipment, modules: Mapping[str, str], submodules: Sequence[str],
    wanted: tuple[str, ...], changed: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Run a cell as this rank, in a namespace of its own; returns all `wanted` names.

    Raises what the cell raised, UsageError where it has not assigned one of them, and NotShippable.
    """
    with reporting(rank):
        return run_item(code, shipment, modules, submodules, wanted, changed, rank.names)
