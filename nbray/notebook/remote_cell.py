"""The worker's side of a `%%remote` cell: runs its code with its inputs and brings back what it assigns."""

from __future__ import annotations

import importlib
import types
from collections.abc import Mapping
from typing import Any, NamedTuple

from nbray import serialization
from nbray.by_value import leave_home
from nbray.engine import task_context
from nbray.errors import NotShippable
from nbray.notebook.remote_shell import TRACEBACK_ATTRIBUTE, CellCode, the_shell
from nbray.notebook.values import ModuleName, Preview, RemoteValue, limit_of
from nbray.objects import put

__all__ = ["TRACEBACK_ATTRIBUTE", "CellCode", "CellOutcome", "run_cell"]

_ABSENT = object()


class CellOutcome(NamedTuple):
    """What a cell brings back: values by name, and why the others stay behind."""

    values: dict[str, Any]
    left_out: dict[str, str]


def run_cell(
    code: CellCode, inputs: Mapping[str, Any], modules: Mapping[str, str], wanted: tuple[str, ...],
    namespace: dict[str, Any] | None = None, *, only_wanted: bool = True,
) -> CellOutcome:  # fmt: skip
    """Run a cell with its inputs, and with `modules` imported under their aliases; returns the `wanted` names.

    Unless `only_wanted`, the other public names that it has assigned come too. It runs in `namespace`, where functions
    among the inputs look up their globals, else in a new one. Raises what the cell raised, with the rendered traceback in
    the attribute `nbray_traceback`.
    """
    shell = the_shell()
    contents = {name: importlib.import_module(module) for name, module in modules.items()} | dict(inputs)
    shell.begin({} if namespace is None else namespace, contents)
    task_context.at_end(shell.end)  # not before: what it brings back is pickled with the globals that it uses
    before = dict(shell.user_ns)
    shell.run(code)
    return bring(shell.user_ns, wanted if only_wanted else (*wanted, *_assigned(before, shell.user_ns)))


def _assigned(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The public names that were bound meanwhile: what the source of a cell does not show, as after `from m import *`."""
    return [name for name, value in after.items() if name[0] != "_" and before.get(name, _ABSENT) is not value]


def bring(namespace: Mapping[str, Any], wanted: tuple[str, ...]) -> CellOutcome:
    """Small values as they are, large ones as handles, modules by name; what cannot be shipped with the reason."""
    outcome = CellOutcome({}, {})
    for name in dict.fromkeys(wanted):
        if name not in namespace:
            continue
        value = namespace[name]
        try:
            outcome.values[name] = _packed(name, value)
        except NotShippable as error:
            outcome.left_out[name] = str(error)
    return outcome


def _packed(name: str, value: Any) -> Any:
    if isinstance(value, types.ModuleType):
        return ModuleName(value.__name__)
    size = serialization.encoded_size(serialization.dumps(value, name))
    if isinstance(value, type):
        leave_home(value)
    return value if size <= limit_of(value) else RemoteValue(put(value), Preview.of(value, size))
