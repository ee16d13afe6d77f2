"""Owns how parameters are worded: short, on one line, whatever they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nbray.widgets.scales import number_text
from nbray.wording import one_line


def value_text(value: Any, limit: int = 24) -> str:
    """The value of a parameter.

    >>> value_text(0.000123456), value_text(None), value_text("gini"), value_text(100000), value_text(True)
    ('0.0001235', 'None', 'gini', '100000', 'True')
    """
    if isinstance(value, float):
        return number_text(value)
    return one_line(value if isinstance(value, str) else repr(value), limit)


def settings_text(settings: Mapping[str, Any], most: int = 6) -> str:
    """Parameters with their values, at most so many.

    >>> settings_text({"depth": 3, "lr": 0.1})
    'depth=3 lr=0.1'
    """
    shown = [f"{one_line(name, 24)}={value_text(value)}" for name, value in list(settings.items())[:most]]
    return " ".join(shown + ([f"and {len(settings) - most} more"] if len(settings) > most else []))
