"""What `%%remote --on NAME` does with a cell: reads it, sends it to the namespace, takes over what was asked for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbray import call_options
from nbray.notebook import cell_environment, cells, given_items, namespace_stops, namespaces
from nbray.notebook.namespace import RESULTS

if TYPE_CHECKING:
    from nbray.notebook.background import Background

RESERVED = {"cpus": "num_cpus", "gpus": "num_gpus", "memory": "memory"}
"""Options of the line that a namespace holds as long as it lives, and what they are called for an actor."""


def run(shell: Any, line: str, cell: str, asked: Any, background: Callable[[], Background]) -> None:
    """Run a cell in the namespace `asked.on`; `asked` is the parsed line of `%%remote`."""
    namespaces.check_name(asked.on)
    if asked.plan:
        from nbray.notebook.plan import plan_text

        kept = namespaces.known_names(asked.on).difference(asked.inputs or ())
        print(plan_text(cells.read_cell(shell, line, cell, _options(asked, kept))), end="")  # noqa: T201
        return
    namespace = namespaces.open_namespace(asked.on, reserved(asked))
    own = namespace.known() if asked.bg else frozenset(each.name for each in namespace.contents().names)
    ready = cells.read_cell(shell, line, cell, _options(asked, own.difference(asked.inputs or ())))
    name = (asked.name or "").strip("\"'") or f"{cells.task_name()} on {asked.on}"
    running = namespace.submit(ready, name, asked.inputs or ())
    if asked.bg:
        background().follow(running)
        print(cells.background_text(running))  # noqa: T201
    else:
        sys.stderr.write(cells.take_over(shell, ready, namespace_stops.outcome(namespace, running)))


def run_whole(shell: Any, cell: str, name: str) -> None:
    """Run a cell without a magic's line in the namespace of that name."""
    namespace = namespaces.open_namespace(name, {})
    own = frozenset(each.name for each in namespace.contents().names)
    ready = cells.read_cell(shell, "", cell, cells.CellOptions(magic="", kept=own | RESULTS))
    running = namespace.submit(ready, cells.task_name())
    sys.stderr.write(cells.take_over(shell, ready, namespace_stops.outcome(namespace, running)))


def _options(asked: Any, kept: frozenset[str]) -> cells.CellOptions:
    return cells.CellOptions(asked.inputs, asked.outputs, kept=kept | RESULTS, plot=given_items.order_of(asked))


def reserved(asked: Any) -> dict[str, Any]:
    """What the namespace shall hold, from the parsed line. Raises UsageError for amounts that are none."""
    given = {option: getattr(asked, name) for name, option in RESERVED.items() if getattr(asked, name) is not None}
    given |= cell_environment.options_of(asked.env)
    call_options.build(given)  # raises for amounts that are none
    return given
