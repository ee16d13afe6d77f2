"""Owns how parameters are worded: short, on one line, whatever they are."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping
from typing import Any

from nbray.widgets.scales import number_text
from nbray.wording import one_line

_SHORT = reprlib.Repr()
_SHORT.maxother = 120


def value_text(value: Any, limit: int = 24) -> str:
    """The value of a parameter.

    >>> value_text(0.000123456), value_text(None), value_text("gini"), value_text(100000), value_text(True)
    ('0.0001235', 'None', 'gini', '100000', 'True')
    """
    if isinstance(value, float):
        return number_text(value)
    return one_line(value if isinstance(value, str) else spoken(value), limit)


def spoken(value: Any) -> str:
    """The value as `repr` has it, where that is short by nature; of what is large only what it is.

    >>> import numpy
    >>> spoken("a"), spoken(numpy.zeros((200, 3))), spoken(list(range(1000)))
    ("'a'", 'ndarray (200, 3)', '[0, 1, 2, 3, 4, 5, ...]')
    """
    if value is None or isinstance(value, str | int | float | bool):
        return repr(value)
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and shape:
        return f"{type(value).__name__} {shape}"
    if callable(value) and hasattr(value, "__name__"):
        return str(value.__name__)
    return re.sub(r" at 0x[0-9a-f]+", "", _SHORT.repr(value))  # the same value has another place in each trial


def settings_text(settings: Mapping[str, Any], most: int = 6) -> str:
    """Parameters with their values, at most so many.

    >>> settings_text({"depth": 3, "lr": 0.1})
    'depth=3 lr=0.1'
    """
    shown = [f"{one_line(name, 24)}={value_text(value)}" for name, value in list(settings.items())[:most]]
    return " ".join(shown + ([f"and {len(settings) - most} more"] if len(settings) > most else []))
