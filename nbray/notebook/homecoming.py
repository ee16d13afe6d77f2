"""What a `%%remote` cell brought back, made at home in the notebook: names are assigned, functions see its globals."""

from __future__ import annotations

import builtins
import types
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from nbray.by_value import used_names
from nbray.errors import UsageError
from nbray.notebook.remote_cell import CellOutcome
from nbray.notebook.shipment import own_copy
from nbray.notebook.values import ModuleName, RemoteValue


def assign(shell: Any, outcome: CellOutcome) -> None:
    """Assign in the notebook what a cell brought back."""
    copied: dict[int, Any] = {}
    shell.push({name: own(value, copied) for name, value in outcome.values.items()})
    namespace = shell.user_ns
    shell.push({name: at_home(namespace[name], namespace) for name in outcome.values})


def warning(outcome: CellOutcome) -> str:
    """One line about each name that could not come, and why."""
    return "".join(f"nbray: {name} stays behind: {reason}\n" for name, reason in outcome.left_out.items())


def require(outcome: CellOutcome, names: Sequence[str]) -> None:
    """Raise UsageError where a name that the user asked for was not assigned."""
    missing = [name for name in names if name not in outcome.values and name not in outcome.left_out]
    if missing:
        raise UsageError(f"-o {' '.join(missing)}: the cell ran well, but did not assign {', '.join(missing)}")


def own(value: Any, copied: dict[int, Any]) -> Any:
    """Something to be used like any other value: small arrays, which arrive as read-only views, are copied."""
    if type(value) is ModuleName:
        return import_module(value.name)
    return value if type(value) is RemoteValue else own_copy(value, copied)


def at_home(value: Any, namespace: dict[str, Any]) -> Any:
    """Functions and classes that the cell defined read the notebook's globals, so that later changes of them reach them.

    A function that uses a name which did not come along keeps the globals that it came with.
    """
    if isinstance(value, type) and value.__module__ == "__main__":
        for name, attribute in list(vars(value).items()):
            settled = _method_at_home(attribute, namespace)
            if settled is not attribute:
                setattr(value, name, settled)
        return value
    return _function_at_home(value, namespace)


def _method_at_home(attribute: Any, namespace: dict[str, Any]) -> Any:
    if isinstance(attribute, (staticmethod, classmethod)):
        settled = _function_at_home(attribute.__func__, namespace)
        return attribute if settled is attribute.__func__ else type(attribute)(settled)
    if type(attribute) is property:
        get, put, drop = (_function_at_home(part, namespace) for part in (attribute.fget, attribute.fset, attribute.fdel))
        return property(get, put, drop, attribute.__doc__)
    return _function_at_home(attribute, namespace)


def _function_at_home(value: Any, namespace: dict[str, Any]) -> Any:
    if type(value) is not types.FunctionType or value.__module__ != "__main__" or value.__globals__ is namespace:
        return value
    if not all(name in namespace or hasattr(builtins, name) for name in used_names(value.__code__)):
        return value
    function = types.FunctionType(value.__code__, namespace, value.__name__, value.__defaults__, value.__closure__)
    function.__kwdefaults__, function.__annotations__ = value.__kwdefaults__, value.__annotations__
    function.__qualname__, function.__doc__ = value.__qualname__, value.__doc__
    function.__dict__.update(value.__dict__)
    return function
