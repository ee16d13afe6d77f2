"""Checks of arguments that several of Tune's configs and classes take, each with what to write instead."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any, NoReturn

from nbray.errors import NotSupportedHere, UsageError, WrongType


def check_metric(metric: Any) -> None:
    """Refuse what is not a name."""
    if metric is not None and (not isinstance(metric, str) or not metric):
        raise WrongType(f'metric={metric!r}: expected the name of what trials report, for example metric="loss"')


def check_whole(name: str, value: Any, least: int, *, endless: bool = False) -> None:
    """Refuse all but whole numbers from `least` on, and -1 if that stands for "without end"."""
    if isinstance(value, int) and not isinstance(value, bool) and (value >= least or (endless and value == -1)):
        return
    more = ", or -1 for no limit" if endless else ""
    raise UsageError(f"{name}={value!r}: expected a whole number >= {least}{more}, for example {name}={max(least, 1)}")


def check_seconds(name: str, value: Any) -> None:
    """Refuse all but positive numbers."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 and not math.isnan(value):
        return
    raise UsageError(f"{name}={value!r}: expected seconds, or a timedelta, greater than 0, for example {name}=60")


def check_flag(name: str, value: Any) -> None:
    """Refuse all but True and False."""
    if not isinstance(value, bool):
        raise WrongType(f"{name}={value!r}: expected True or False")


def check_kind(name: str, value: Any, kind: type, example: str) -> None:
    """Refuse what is not of a class; a class instead of its instance gets a text of its own."""
    if isinstance(value, kind):
        return
    if isinstance(value, type):
        raise WrongType(f"{name}={value.__name__}: expected an instance, not a class: write {name}={value.__name__}(...)")
    raise WrongType(f"{name}={value!r}: expected a {kind.__name__}, for example {name}={example}")


def refuse(name: str, value: Any, why: str, nothing: Any = None) -> None:
    """Refuse an argument of Ray's that has no effect here, unless it is what it is by default."""
    if value is not nothing and value != nothing:
        raise NotSupportedHere(f"{name}={value!r} is not supported: {why}")


def unknown(name: Any, known: Iterable[str], what: str) -> NoReturn:
    """Refuse a name that nothing here has."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, 1)
    raise UsageError(f"{what} {name!r}: " + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"))
