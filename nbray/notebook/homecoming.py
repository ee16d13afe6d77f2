"""What a `%%remote` cell brought back, made at home in the notebook: names are assigned, functions see its globals."""

from __future__ import annotations

import builtins
import copy
import types
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from nbray.by_value import used_names
from nbray.errors import UsageError
from nbray.notebook.remote_cell import CellOutcome
from nbray.notebook.values import ModuleName, RemoteValue


def assign(shell: Any, outcome: CellOutcome) -> None:
    """Assign in the notebook what a cell brought back."""
    shell.push({name: _own(value) for name, value in outcome.values.items()})
    namespace = shell.user_ns
    shell.push({name: _at_home(namespace[name], namespace) for name in outcome.values})


def warning(outcome: CellOutcome) -> str:
    """One line about each name that could not come, and why."""
    return "".join(f"nbray: {name} stays behind: {reason}\n" for name, reason in outcome.left_out.items())


def require(outcome: CellOutcome, names: Sequence[str]) -> None:
    """Raise UsageError where a name that the user asked for was not assigned."""
    missing = [name for name in names if name not in outcome.values and name not in outcome.left_out]
    if missing:
        raise UsageError(f"-o {' '.join(missing)}: the cell ran well, but did not assign {', '.join(missing)}")


def _own(value: Any) -> Any:
    """Something to be used like any other value: small arrays, which arrive as read-only views, are copied."""
    if type(value) is ModuleName:
        return import_module(value.name)
    if type(value) is RemoteValue:
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - the value's own __deepcopy__ may refuse: then it stays as it arrived
        return value


def _at_home(value: Any, namespace: dict[str, Any]) -> Any:
    """A function that the cell defined reads the notebook's globals, so that later changes of them reach it.

    One that uses a name which did not come along keeps the globals that it came with.
    """
    if type(value) is not types.FunctionType or value.__module__ != "__main__" or value.__globals__ is namespace:
        return value
    if not all(name in namespace or hasattr(builtins, name) for name in used_names(value.__code__)):
        return value
    function = types.FunctionType(value.__code__, namespace, value.__name__, value.__defaults__, value.__closure__)
    function.__kwdefaults__, function.__annotations__ = value.__kwdefaults__, value.__annotations__
    function.__qualname__, function.__doc__ = value.__qualname__, value.__doc__
    function.__dict__.update(value.__dict__)
    return function
