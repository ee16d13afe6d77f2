"""What trials report and are configured with, as files can hold it: flat, and of plain numbers and text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LONGEST = 1000
"""Elements of an array that are written; a longer one is told by its shape."""

ADDED = frozenset({"done", "time_this_iter_s", "time_total_s", "timestamp", "training_iteration", "trial_id"})
"""What is added to every report."""

Plain = None | bool | int | float | str | list[Any] | dict[str, Any]


def flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Dicts inside dicts become names with slashes.

    >>> flat({"lr": 0.1, "model": {"depth": 3}})
    {'lr': 0.1, 'model/depth': 3}
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{above}{name}/")
        else:
            found[f"{above}{name}"] = value
    return found


def own(report: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial said itself, flat, without what is added to every report.

    >>> own({"loss": 0.5, "training_iteration": 3, "trial_id": "00000"})
    {'loss': 0.5}
    """
    return flat({name: value for name, value in report.items() if name not in ADDED})


def plain(value: Any) -> Plain:
    """The value as JSON knows it: numbers and arrays of numpy become Python's, NaN and the infinities text, others their repr.

    >>> import numpy as np
    >>> plain({"loss": np.float32(0.5), "shape": (1, 2), "nothing": float("nan")})
    {'loss': 0.5, 'shape': [1, 2], 'nothing': 'nan'}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist()) if value.size <= LONGEST else f"array of shape {value.shape}"
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [plain(each) for each in value]
    return repr(value)


def number(value: Any) -> float | None:
    """The value as a number to draw; None for what is none: text, True and False, arrays of more than one element."""
    if isinstance(value, (np.generic, np.ndarray)) and value.size == 1:
        value = value.item()
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
