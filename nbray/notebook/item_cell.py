"""The worker's side of a `%%parallel` cell: runs its body for one item, and brings back its last expression or its names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from nbray.errors import NotShippable, UsageError
from nbray.notebook.remote_cell import CellCode, CellOutcome, run_cell
from nbray.notebook.remote_shell import the_shell
from nbray.notebook.shipment import Shipment, with_own

LAST = "_"
"""The name under which the last expression comes back, as it has it in every notebook."""


def run_item(
    code: CellCode, shipment: Shipment, modules: Mapping[str, str], submodules: Sequence[str], wanted: tuple[str, ...],
    changed: Sequence[str], item: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Run the body in a namespace of its own that has the names of `item`; returns all `wanted` names.

    Raises what the body raised, UsageError where it has not assigned one of them, and NotShippable.
    """
    for name in submodules:
        import_module(name)
    values, namespace = shipment.unpack()
    inputs = with_own({**values, **item}, changed)
    if wanted != (LAST,):
        return _all_of(wanted, run_cell(code, inputs, modules, wanted, namespace))
    with _keeping_last():
        return _all_of(wanted, run_cell(code, inputs, modules, wanted, namespace))


def _all_of(wanted: Sequence[str], outcome: CellOutcome) -> dict[str, Any]:
    for name, reason in outcome.left_out.items():
        raise NotShippable(reason.replace(f"{LAST} cannot", "the last expression cannot", 1) if name == LAST else reason)
    for name in wanted:
        if name not in outcome.values:
            raise UsageError(f"-o {name}: the cell ran well here, but did not assign {name}")
    return outcome.values


@contextmanager
def _keeping_last() -> Iterator[None]:
    """The value of the last expression becomes a name instead of being shown."""
    shell = the_shell()

    def keep(value: Any) -> None:
        shell.user_ns[LAST] = value

    shown, shell.display_trap.hook = shell.display_trap.hook, keep
    try:
        yield
    finally:
        shell.display_trap.hook = shown
