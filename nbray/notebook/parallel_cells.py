"""What `%%parallel` and `%nbray retry` do: read the cell, run its items, hand the results to the notebook, keep what failed."""

from __future__ import annotations

import ast
import re
import sys
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from nbray import session
from nbray.backends.backend import Backend, CallOptions
from nbray.errors import UsageError
from nbray.notebook import cell_runs, cells
from nbray.notebook.cell_history import HISTORY
from nbray.notebook.cell_runs import CellRun
from nbray.notebook.cells import CellOptions, RemoteCell
from nbray.notebook.item_cell import LAST
from nbray.notebook.loops import Loop, take_items
from nbray.notebook.parallel_runs import Item, ParallelRun
from nbray.objects import ObjectRef
from nbray.wording import count_text

KEPT_RUNS = 8
SHOWN_ITEMS = 3

_unfinished: OrderedDict[str, ParallelRun] = OrderedDict()
"""The latest runs with items that have given nothing, by the number of their cell."""


def read(shell: Any, line: str, loop: Loop, cell: str, options: CellOptions, call: CallOptions) -> ParallelRun:
    """Read a cell and its loop; raises SyntaxError, UsageError, and what the loop's expression raises."""
    if not cell.strip():
        raise UsageError(f"%%parallel {line.strip()}: the cell is empty; what stands below the line runs once for each item")
    options = options._replace(magic="parallel", kept=frozenset(loop.names), many="%%parallel")
    ready = _read_body(shell, line, loop, cell, options)
    items = take_items(loop.items, eval(loop.items, shell.user_ns))
    return ParallelRun(ready, options, call, [_item(loop, number, item) for number, item in enumerate(items)])


def _read_body(shell: Any, line: str, loop: Loop, cell: str, options: CellOptions) -> RemoteCell:
    try:
        ready = cells.read_cell(shell, line, cell, options._replace(outputs=None))
    except SyntaxError as error:
        word = next((word for word in ("break", "continue") if f"'{word}'" in str(error.msg)), "")
        if not word:
            raise
        raise UsageError(
            f"{word}: each item runs by itself, so there is no loop around it; write if and else, or let %%remote run a for loop"
        ) from None
    if options.outputs is None:
        last = ast.parse(shell.transform_cell(ready.code.source)).body[-1:]
        return ready._replace(wanted=(LAST,) if last and isinstance(last[0], ast.Expr) else (), required=True)
    names = ready.names._replace(changed=(*ready.names.changed, *loop.names))  # the loop's own may come back too
    return ready._replace(wanted=cells.wanted_names(names, ready.inputs, options.outputs), required=True)


def _item(loop: Loop, number: int, item: Any) -> Item:
    try:
        bound = loop.bind(item)
    except (TypeError, ValueError) as error:
        raise UsageError(f"item [{number}] of {loop.items} does not fit for {loop.target}: {error}") from None
    return Item(loop.label(number, bound), bound)


def run(shell: Any, parallel: ParallelRun) -> list[Any] | None:
    """Run the items that are left; returns the list of last expressions, or assigns the names of `-o`.

    Raises what the first failed item raised, once all have ended; the results are in the notebook by then.
    """
    _start(shell, parallel)
    try:
        parallel.finish()
    except BaseException:
        sys.stderr.write(parallel.summary(_keep(shell, parallel)))
        raise
    error = parallel.first_error
    if error is not None:
        sys.stderr.write(parallel.summary(_keep(shell, parallel)))
        raise error
    _unfinished.pop(parallel.number, None)
    made = {name: found for name, found in parallel.results.items() if any(each is not None for each in found)}
    HISTORY.note_outputs(cell_runs.current(), made)
    return _hand_over(shell, parallel)


def _start(shell: Any, parallel: ParallelRun) -> None:
    parallel.start(shell)
    _unfinished[parallel.number] = parallel
    _unfinished.move_to_end(parallel.number)
    while len(_unfinished) > KEPT_RUNS:
        _unfinished.popitem(last=False)


class BehindRun(NamedTuple):
    """A `%%parallel` cell that runs while the notebook goes on."""

    parallel: ParallelRun
    backend: Backend
    run: CellRun | None

    @property
    def refs(self) -> Sequence[ObjectRef]:
        """See `background.Awaited`."""
        return self.parallel.refs

    def take_over(self, shell: Any) -> str:
        """Assign what its items gave, also where some failed; returns which did, and why."""
        parallel = self.parallel
        parallel.finish()
        number, results = int(parallel.number), parallel.results
        if LAST in results:
            shell.user_ns["Out"][number] = results[LAST]
        else:
            shell.push(results)
        if parallel.left:
            return parallel.summary([f"Out[{number}]" if name == LAST else name for name in results])
        _unfinished.pop(parallel.number, None)
        return ""


def start_behind(shell: Any, parallel: ParallelRun) -> BehindRun:
    """Submit the items and say how they end."""
    _start(shell, parallel)
    number, names = parallel.number, ", ".join(parallel.results)
    then = f"Out[{number}] has the list" if names == LAST else f"it assigns {names}"
    print(  # noqa: T201
        f"nbray: {count_text(parallel.size, 'item')} in the background{f'; then {then}' if names else ''}. "
        f"%nbray cancel {number} stops them."
    )
    return BehindRun(parallel, session.current_backend(), cell_runs.current())


def plan(shell: Any, line: str, loop: Loop, cell: str, options: CellOptions) -> None:
    """Print what would be run and shipped."""
    from nbray.notebook.plan import plan_text

    if not cell.strip():
        raise UsageError(f"%%parallel {line.strip()}: the cell is empty; what stands below the line runs once for each item")
    ready = _read_body(shell, line, loop, cell, options._replace(magic="parallel", kept=frozenset(loop.names), many="%%parallel"))
    value = eval(loop.items, shell.user_ns)
    back = "the values of the last expression, as one list" if ready.wanted == (LAST,) else ""
    back = back or ", ".join(f"{name}, as a list" for name in ready.wanted)
    one_pass = isinstance(value, Iterator)  # which is not gone through before it is run
    items = f"As many items as {loop.items} gives" if one_pass else _items_text(loop, take_items(loop.items, value))
    print(plan_text(ready, f"{items}. Each item would", "get from the loop", back), end="")  # noqa: T201


def _items_text(loop: Loop, items: Sequence[Any]) -> str:
    labels = [_item(loop, number, item).label for number, item in enumerate(items[:SHOWN_ITEMS])]
    more = f" and {len(items) - SHOWN_ITEMS:,} more" if len(items) > SHOWN_ITEMS else ""
    return count_text(len(items), "item") + (f" ({', '.join(labels)}{more})" if labels else "")


def refuse_namespace(options: str) -> None:
    """Raise UsageError where the line names a namespace."""
    if re.search(r"(^|\s)--on\b", options):
        raise UsageError(
            "%%parallel --on: items run side by side in workers that remember nothing, and a namespace runs one cell after the "
            "other; %%remote --on NAME with a for loop, or %%remote --each a b for several namespaces at once"
        )


def _keep(shell: Any, parallel: ParallelRun) -> list[str]:
    """Give the notebook what is there although the cell fails; returns the names under which it is found."""
    results = parallel.results
    if LAST in results:
        shell.displayhook.update_user_ns(results[LAST])
    else:
        shell.push(results)
    return list(results)


def _hand_over(shell: Any, parallel: ParallelRun) -> list[Any] | None:
    results = parallel.results
    if LAST not in results:
        shell.push(results)
        return None
    found = results[LAST]
    if found and all(result is None for result in found):
        return None  # a body that ends with print(...)
    if parallel.cell.code.source.rstrip().endswith(";"):
        shell.displayhook.update_user_ns(found)
        return None
    return found


def retry(shell: Any, number: str | None) -> list[Any] | None:
    """Run the failed items of a cell again, those of the latest one unless its number is given."""
    if not _unfinished:
        raise UsageError("%nbray retry: no %%parallel cell has items left that failed or have not run")
    wanted = next(reversed(_unfinished)) if number is None else number.strip("[]")
    if wanted not in _unfinished:
        known = " and ".join(f"[{each}]" for each in _unfinished)
        raise UsageError(f"%nbray retry {number}: [{wanted}] is no %%parallel cell with items left; there is {known}")
    if _unfinished[wanted].runs:
        raise UsageError(f"%nbray retry {wanted}: [{wanted}] still runs in the background; %nbray cancel {wanted} stops it")
    return run(shell, _unfinished[wanted])
