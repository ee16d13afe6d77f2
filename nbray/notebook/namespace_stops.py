"""What Stop does to cells in namespaces: the first asks them to end, a second one ends those that do not, and says the price.

A worker that keeps names is never killed by the first Stop. Code that cannot hear it (a long call into C, a loop that catches
KeyboardInterrupt) goes on, and the notebook's cell with it, as it would if it ran here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from nbray import session
from nbray.ids import ObjectId
from nbray.notebook.cells import RunningCell
from nbray.notebook.namespaces import OpenNamespace, lost_text
from nbray.notebook.remote_cell import CellOutcome

GRACE_SECONDS = 0.7
"""After so long it is said that a cell goes on."""

Sent = tuple[OpenNamespace, ObjectId]
"""A cell, and where it runs."""


def outcome(space: OpenNamespace, running: RunningCell) -> CellOutcome:
    """What a cell brings back; raises what it raised, and KeyboardInterrupt when it was stopped and has ended."""
    try:
        return running.outcome()
    except KeyboardInterrupt:
        end_stopped([(space, running.ref.id)])
        raise


def end_stopped(cells: Sequence[Sent]) -> None:
    """Stop was pressed: wait until these cells have ended. A second one kills the namespaces of those that have not."""
    if session.is_parting():
        return  # the cells go on
    left = _unfinished(cells, GRACE_SECONDS)
    if not left:
        return
    sys.stderr.write(goes_on_text([space for space, _ in left]))
    try:
        while left:
            left = _unfinished(left, None)
    except KeyboardInterrupt:
        sys.stderr.write("".join(_killed(space) for space, _ in left))
        raise


def _unfinished(cells: Sequence[Sent], timeout: float | None) -> list[Sent]:
    """Those that have not ended after so many seconds; waits until all have without a limit."""
    backend = session.current_backend()
    ended = backend.wait([task for _, task in cells], len(cells), timeout)
    return [(space, task) for space, task in cells if task not in ended]


def goes_on_text(spaces: Sequence[OpenNamespace]) -> str:
    """What is said after the first Stop."""
    where = "the namespace" if len(spaces) == 1 else "the namespaces"
    names = " and ".join(repr(space.name) for space in spaces)
    lost = [lost_text(space.at_stake(), f"{space.name} loses:") for space in spaces if space.at_stake()]
    return (
        f"nbray: the cell in {where} {names} goes on: it is in C code, which hears Stop when it returns, or it catches "
        f"KeyboardInterrupt.\nStop again kills {where}. {' '.join(lost) or 'There are no names yet that would be lost.'}\n"
    )


def _killed(space: OpenNamespace) -> str:
    lost = space.at_stake()
    space.end()
    return (
        f"nbray: the namespace {space.name!r} was killed. {lost_text(lost)} The next %%remote --on {space.name} begins with an "
        "empty one.\n"
    )
