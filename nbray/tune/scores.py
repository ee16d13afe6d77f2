"""Scores: a report's metric as a number of which more is always better, to compare trials by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_METRIC = "_metric"
"""The metric of a trial that returns or yields a plain number, where none is named."""


def reported(result: Mapping[str, Any], name: str) -> Any:
    """What was reported under a name; None if nothing was. A slash leads into a dict within the report, as in Ray Tune.

    >>> reported({"eval": {"accuracy": 0.5}}, "eval/accuracy")
    0.5
    """
    value = result.get(name)
    if value is not None or "/" not in name:
        return value
    first, _, rest = name.partition("/")
    inner = result.get(first)
    return reported(inner, rest) if isinstance(inner, Mapping) else None


def names_in(result: Mapping[str, Any]) -> list[str]:
    """The names under which `reported` finds something.

    >>> names_in({"loss": 1, "eval": {"accuracy": 0.5}})
    ['loss', 'eval/accuracy']
    """
    names = []
    for name, value in result.items():
        names += [f"{name}/{inner}" for inner in names_in(value)] if isinstance(value, Mapping) and value else [str(name)]
    return names


def figure(result: Mapping[str, Any], name: str | None) -> float | None:
    """A reported value as a number; None if it was not reported or is none."""
    value = reported(result, name) if name is not None else None
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
