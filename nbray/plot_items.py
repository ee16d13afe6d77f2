"""From the items that a generator yields to rows of numbers: dicts by their keys, tuples by position, plain numbers.

Pure. What has no number is never an error, since a plot must not end hours of work: it is said beside the plot.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nbray.errors import UsageError, WrongType
from nbray.plot_points import Row
from nbray.wording import count_text, one_line

MOST_NAMES = 8
"""Lines that are drawn where the user names none."""
VALUE = "value"
"""What a plain number is called where the user gives no name."""
_NAMES_SAID = 8
_DEEPEST = 3

_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 40
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 3


class PlotOrder(NamedTuple):
    """What shall be drawn of each item."""

    names: tuple[str, ...] = ()
    """In the order of the panels; without any, all numbers that the items have."""
    x: str = ""
    """What they are drawn against; "" for the number of the item."""

    @classmethod
    def of(cls, names: Iterable[Any], x: Any = None) -> PlotOrder:
        """From names as the user gives them: "loss,acc", or one by one.

        Raises WrongType and UsageError.

        >>> PlotOrder.of(["loss, acc"]).names
        ('loss', 'acc')
        """
        given = list(names)
        for name in [*given, *([] if x is None else [x])]:
            if not isinstance(name, str):
                raise WrongType(f"{_short(name)} is no name of a number: expected text, as 'loss' or 'loss,acc'")
        parted = [part.strip() for name in given for part in name.split(",")]
        if "" in parted:
            raise UsageError(f"{','.join(given)!r}: a name is empty; expected names with a comma between them, as 'loss,acc'")
        if x is not None and not x.strip():
            raise UsageError(f"x={x!r}: expected what the items call it, as x='epoch', or leave it out to count them")
        return cls(tuple(dict.fromkeys(parted)), "" if x is None else x.strip())


class _Values:
    """What is known of the values of one name."""

    def __init__(self) -> None:
        self.seen = 0
        self.bad = 0
        self.first_bad = ""


class ItemReader:
    """Makes a row of each item, and remembers what could not be drawn.

    >>> reader = ItemReader(PlotOrder(("loss", "acc")))
    >>> reader.read({"loss": 0.5, "acc": 1, "note": "a"}), reader.read((0.25,)), reader.read("nothing")
    ((1.0, 0.5, 1.0), (2.0, 0.25, None), None)
    >>> reader.said()
    ("1 of 3 items cannot be drawn, the first is 'nothing': yield numbers, dicts, or tuples of numbers",)
    """

    def __init__(self, order: PlotOrder) -> None:
        self._order = order
        self.names: tuple[str, ...] = order.names
        self.items = 0
        self._values = {name: _Values() for name in (*order.names, *([order.x] if order.x else []))}
        self._strangers = 0
        self._first_stranger = ""
        self._fields: dict[str, None] = {}
        """What the items have, as far as it may be asked for."""
        self._left_out: dict[str, None] = {}
        self._longest = 0
        """Values in the longest tuple."""

    def read(self, item: Any) -> Row | None:
        """The row of the next item; None where it has no number that is asked for."""
        self.items += 1
        fields = self._fields_of(item)
        if fields is None:
            self._strangers += 1
            self._first_stranger = self._first_stranger or _short(item)
            return None
        if not self._order.names:
            self._discover(fields)
        elif len(self._fields) < 100:
            self._fields.update(dict.fromkeys(fields))
        values = tuple(self._value(name, fields) for name in self.names)
        x = self._value(self._order.x, fields) if self._order.x else float(self.items)
        return None if x is None or all(value is None for value in values) else (x, *values)

    def said(self) -> tuple[str, ...]:
        """What could not be drawn so far, and what to do about it."""
        said = [text for name, values in self._values.items() if (text := self._said_of(name, values))]
        if self._strangers:
            said.append(
                f"{self._strangers:,} of {count_text(self.items, 'item')} cannot be drawn, the first is {self._first_stranger}: "
                "yield numbers, dicts, or tuples of numbers"
            )
        if self._left_out:
            said.append(f"not drawn: {_listed(self._left_out)}; say which to draw, as 'loss,acc'")
        if self._order.names and self._longest > len(self._order.names):
            drawn = ", ".join(self._order.names)
            said.append(f"items have {self._longest} values, of which the first {len(self._order.names)} are drawn, as {drawn}")
        return tuple(said)

    def _fields_of(self, item: Any) -> Mapping[str, Any] | None:
        """The values of an item by name; None where it is nothing of the kind."""
        if isinstance(item, Mapping):
            return _flat(item)
        if hasattr(item, "_asdict"):
            return _flat(item._asdict())
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            return _flat({field.name: getattr(item, field.name) for field in dataclasses.fields(item)})
        if getattr(item, "ndim", None) == 1 and hasattr(item, "tolist"):
            item = item.tolist()
        names = self._order.names
        if isinstance(item, (tuple, list)):
            self._longest = max(self._longest, len(item))
            return dict(zip(names or map(str, range(len(item))), item, strict=False))
        if _number(item) is None:
            return None
        return {names[0] if names else VALUE: item}

    def _discover(self, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            if name in self.names or name == self._order.x or _number(value) is None:
                continue
            if len(self.names) < MOST_NAMES:
                self.names = (*self.names, name)
                self._values[name] = _Values()
            elif len(self._left_out) < 100:
                self._left_out[name] = None

    def _value(self, name: str, fields: Mapping[str, Any]) -> float | None:
        known = self._values[name]
        value = fields.get(name)
        if value is None:
            return None
        known.seen += 1
        number = _number(value)
        found = math.nan if number is None else number
        if math.isfinite(found):
            return found
        known.bad += 1
        known.first_bad = known.first_bad or f"{_short(value)} in item {self.items:,}"
        return None

    def _said_of(self, name: str, values: _Values) -> str:
        if values.bad:
            count = f"{values.bad:,} of {count_text(values.seen, 'value')}"
            return f"{name}: {count} cannot be drawn, the first is {values.first_bad}"
        if values.seen or self.items == self._strangers:
            return ""
        near = difflib.get_close_matches(name, list(self._fields), 1)
        hint = f"did you mean {near[0]}?" if near else f"they have {_listed(self._fields)}"
        return f"no item has {name!r} yet: {hint}"


def _flat(fields: Mapping[Any, Any], prefix: str = "", depth: int = 1) -> dict[str, Any]:
    """Without nesting: "train/loss"."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        path = one_line(f"{prefix}{name}", 80)
        if isinstance(value, Mapping) and depth < _DEEPEST:
            found.update(_flat(value, f"{path}/", depth + 1))
        else:
            found[path] = value
    return found


def _number(value: Any) -> float | None:
    """What `float` makes of what was a number before: also of a scalar or an array of one element."""
    if isinstance(value, (str, bytes, bytearray)) or value is None:
        return None
    try:
        return float(value.item() if getattr(value, "ndim", 0) and getattr(value, "size", 0) == 1 else value)
    except Exception:  # noqa: BLE001 - whatever its own __float__ raises: it is no number
        return None


def _listed(names: Iterable[str]) -> str:
    found: Sequence[str] = list(names)
    more = f" and {len(found) - _NAMES_SAID:,} more" if len(found) > _NAMES_SAID else ""
    return ", ".join(found[:_NAMES_SAID]) + more if found else "none"


def _short(value: Any) -> str:
    return one_line(_SHORT.repr(value), 60)
