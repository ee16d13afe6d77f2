"""What becomes of the items that a cell on the cluster has yielded: their list is its result, as `_` and `Out[4]`."""

from __future__ import annotations

import sys
from typing import Any

from nbray.errors import UsageError
from nbray.notebook import cell_runs
from nbray.notebook.homecoming import own
from nbray.notebook.remote_cell import CellCode, CellOutcome
from nbray.notebook.yields import ITEMS
from nbray.plot_items import PlotOrder
from nbray.wording import count_text


def order_of(asked: Any) -> PlotOrder | None:
    """What `--plot` and `--x` of a parsed line ask for; None without them. Raises UsageError."""
    if asked.plot is None and asked.x is not None:
        raise UsageError(f"--x {asked.x}: it says what --plot draws against, as --plot loss,acc --x {asked.x}")
    if asked.plot is None:
        return None
    return PlotOrder.of([name.strip("\"'") for name in asked.plot], None if asked.x is None else asked.x.strip("\"'"))


def taken(outcome: CellOutcome) -> Any:
    """The items, taken out of what a cell brought back; None where it gave none."""
    items = outcome.values.pop(ITEMS, None)
    return None if items is None else own(items, {})


def hand_over(shell: Any, code: CellCode, outcome: CellOutcome) -> str:
    """Take the items out of what a cell brought back, and make them its result; returns a warning where they did not come.

    A cell that runs now finds them in `_` too; one that ran in the background only in `Out`.
    """
    reason = outcome.left_out.pop(ITEMS, None)
    if reason is not None:
        return f"nbray: {ITEMS} stay behind: {reason}\n"
    items = taken(outcome)
    if items is None:
        return ""
    number = int(code.label.strip("[]"))
    run = cell_runs.current()
    waited = run is not None and run.number == number
    if waited:
        shell.displayhook.update_user_ns(items)
    shell.user_ns["Out"][number] = items
    if code.plot is None:
        where = f"_ and Out[{number}]" if waited else f"Out[{number}]"
        sys.stdout.write(f"nbray: {count_text(len(items), 'item')} yielded: {where}. --plot draws numbers while they come.\n")
    return ""
