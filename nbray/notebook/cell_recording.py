"""The worker's side of `%%remote --cache`: runs the cell, and keeps its names together with what it printed and displayed."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from nbray.cached_calls import Order, keep
from nbray.engine import task_context
from nbray.ids import TaskId
from nbray.notebook.remote_cell import CellCode, CellOutcome
from nbray.notebook.remote_shell import the_shell
from nbray.notebook.shipment import Shipment, run_shipped
from nbray.notebook.values import ModuleName
from nbray.plot_points import STREAM as POINTS

MOST_OUTPUT = 2_000_000
"""Bytes of output that are kept; a cell with more is not."""

SHOWN = frozenset({"stdout", "stderr", "display_data", "update_display_data", "clear_output", POINTS})
"""What is shown again; progress is over."""

Piece = tuple[str, bytes]
"""A stream as `OutputEvent` has it, and its data."""


class Recording:
    """Within it, what the running task prints from Python and displays is noted on its way to the notebook."""

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.size = 0

    def note(self, stream: str, data: bytes) -> None:
        """Remember one piece, as long as there is room for it."""
        self.size += len(data)
        if stream in SHOWN and self.size <= MOST_OUTPUT:
            self.pieces.append((stream, data))

    def __enter__(self) -> Recording:
        self._streams = sys.stdout, sys.stderr
        self._context = context = task_context.current()
        assert context is not None, "only a task is recorded"

        def emit(task_id: TaskId, stream: str, data: bytes) -> None:
            self.note(stream, data)
            context.emit_output(task_id, stream, data)

        task_context.enter(context._replace(emit_output=emit))
        sys.stdout, sys.stderr = _Tee("stdout", sys.stdout, self), _Tee("stderr", sys.stderr, self)
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout, sys.stderr = self._streams
        task_context.enter(self._context)


class _Tee:
    """A text stream whose text is noted; for all else it is the stream itself."""

    def __init__(self, name: str, stream: Any, recording: Recording) -> None:
        self._name = name
        self._stream = stream
        self._recording = recording

    def write(self, text: str) -> int:
        self._recording.note(self._name, text.encode("utf-8", "replace"))
        return int(self._stream.write(text))

    def writelines(self, lines: Sequence[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def run_recorded(
    order: Order, name: str, code: CellCode, shipment: Shipment, modules: Mapping[str, str], submodules: Sequence[str],
    wanted: tuple[str, ...], changed: Sequence[str], only_wanted: bool,
) -> CellOutcome:  # fmt: skip
    """Run a cell as `run_shipped` does and keep what comes of it; a failure is raised, and not kept."""
    started = time.perf_counter()
    with Recording() as recording:
        outcome = run_shipped(code, shipment, modules, submodules, wanted, changed, only_wanted)
    took = time.perf_counter() - started
    if outcome.left_out:
        problem = f"{', '.join(outcome.left_out)} cannot be shipped"
    elif recording.size > MOST_OUTPUT:
        problem = f"it printed and displayed more than {MOST_OUTPUT:,} bytes"
    else:
        keep((_values(outcome), recording.pieces), order, name, took)
        return outcome
    sys.stderr.write(f"nbray: the result of {name} is not kept: {problem}\n")
    return outcome


def _values(outcome: CellOutcome) -> dict[str, Any]:
    """The values themselves, where the outcome has handles."""
    namespace = the_shell().user_ns
    return {name: value if isinstance(value, ModuleName) else namespace[name] for name, value in outcome.values.items()}
