"""Scores: a report's metric as a number of which more is always better, to compare trials by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_METRIC = "_metric"
"""The metric of a trial that returns or yields a plain number, where none is named."""


def figure(result: Mapping[str, Any], name: str | None) -> float | None:
    """A reported value as a number; None if it was not reported or is none."""
    value = result.get(name) if name is not None else None
    if type(value) is float:
        return value
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        return None


def score(result: Mapping[str, Any], metric: str | None, mode: str | None) -> float | None:
    """The metric of a report, with its sign turned if less is better; None if it is missing or no number.

    >>> score({"loss": 0.25}, "loss", "min")
    -0.25
    """
    value = figure(result, metric)
    return value if value is None or mode != "min" else -value
