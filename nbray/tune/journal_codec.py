"""How values of metrics and configurations become JSON, and the same values again."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import dill

from nbray.errors import UsageError

_TAG = "~"
"""A dict with this one key stands for a value that JSON does not have: a float without end, a tuple, any object."""
_INT_LIMIT = 2**53
"""Beyond it other readers of JSON lose digits."""
_PLAIN = frozenset({bool, type(None)})


def pack(value: Any) -> Any:
    """The value as JSON can hold it; what JSON holds as it is comes back untouched.

    Objects are pickled by dill, so `unpack` runs code that the journal names: read only journals that you trust. Raises
    UsageError if that fails.

    >>> pack({"lr": 0.1, "layers": (64, 32)})
    {'lr': 0.1, 'layers': {'~': ['tuple', [64, 32]]}}
    >>> unpack(pack({"lr": float("inf"), "layers": (64, 32)}))
    {'lr': inf, 'layers': (64, 32)}
    """
    kind = type(value)
    if kind in _PLAIN or _is_text(value):
        return value
    if kind is float:
        return value if math.isfinite(value) else {_TAG: ["float", repr(value)]}
    if kind is int:
        return value if -_INT_LIMIT < value < _INT_LIMIT else {_TAG: ["int", str(value)]}
    if kind is list:
        return [pack(item) for item in value]
    if kind is tuple:
        return {_TAG: ["tuple", [pack(item) for item in value]]}
    if kind is dict and all(key != _TAG and _is_text(key) for key in value):
        return {key: pack(item) for key, item in value.items()}
    if kind.__module__ == "numpy" and hasattr(value, "item") and value.shape == () and type(value.item()) in (float, int, bool):
        return {_TAG: ["numpy", [kind.__name__, pack(value.item())]]}
    return {_TAG: ["dill", _dilled(value)]}


def _is_text(value: Any) -> bool:
    """Whether JSON can hold it as a string, which it cannot if it has half a surrogate pair."""
    if type(value) is not str:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _dilled(value: Any) -> str:
    try:
        return base64.b64encode(dill.dumps(value)).decode("ascii")
    except Exception as error:  # what a class's own __reduce__ raises can be anything
        raise UsageError(
            f"a value of type {type(value).__qualname__} cannot be written into the journal of the experiment: {error}. "
            "Put a name or a number into configurations and reports, and make the object of it in the trial"
        ) from error


def _loaded(text: str) -> Any:
    try:
        return dill.loads(base64.b64decode(text))
    except Exception as error:  # whatever the object's own module raises, or lacks
        raise ValueError(f"it holds an object that cannot be loaded here: {type(error).__name__}: {error}") from error


def _numpy_scalar(content: list[Any]) -> Any:
    import numpy as np  # takes long to import, and few journals have such values

    name, value = content
    return getattr(np, name)(unpack(value))


_UNPACK: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "int": int,
    "tuple": lambda items: tuple(unpack(item) for item in items),
    "numpy": _numpy_scalar,
    "dill": _loaded,
}


def unpack(value: Any) -> Any:
    """The value that was packed."""
    if type(value) is list:
        return [unpack(item) for item in value]
    if type(value) is not dict:
        return value
    if _TAG in value:
        kind, content = value[_TAG]
        return _UNPACK[kind](content)
    return {key: unpack(item) for key, item in value.items()}


def same_value(one: Any, other: Any) -> bool:
    """Whether two configurations are the same to a journal, also with values in them that do not compare."""
    return bool(pack(one) == pack(other))
