"""What the tasks of one cell run have printed and displayed: the latest of it, kept for whoever was not there to see it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from nbray.scheduler.messages import Emitted
from nbray.unreadable import UNREADABLE

MOST_BYTES = 1024 * 1024
"""What is kept of one cell run; older pieces make room."""
OVERHEAD = 200
"""Bytes that a piece takes beside its data."""

MOST_PLOTS = 200

Key = tuple[int, str, int | str]


class _Bar(msgspec.Struct):
    """What tells one progress bar of a task from another."""

    bar: int


class _Plot(msgspec.Struct):
    """What tells one run of a plot of a task from another, and whether it ends or tells anew all that has come."""

    plot: int
    run: str = ""
    whole: bool = False
    closed: bool = False


class _Display(msgspec.Struct):
    """What tells one display of a task from another."""

    transient: dict[str, object] = {}


class _PlotPieces:
    """Where the pieces of one run of a plot are, and when it ended."""

    __slots__ = ("closed_at", "numbers")

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.closed_at = float("inf")


class Kept(NamedTuple):
    """One piece."""

    when: float
    emitted: Emitted


class OutputRecord:
    """The pieces in their order. Of a progress bar, and of the updates of one display, only the last is kept; of a plot what
    came since it told all so far."""

    __slots__ = ("_keyed", "_last", "_pieces", "_plots", "cut", "size")

    def __init__(self) -> None:
        self.size = 0
        self.cut = 0
        """Bytes of the oldest pieces, which had to make room."""
        self._pieces: dict[int, Kept] = {}
        self._keyed: dict[Key, int] = {}
        """The piece that the next one of this key takes the place of."""
        self._plots: dict[Key, _PlotPieces] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, emitted: Emitted, now: float) -> None:
        """Keep one piece."""
        if emitted.stream == "clear_output":  # what stood before is not to be seen any more
            self.clear()
            return
        key = _key(emitted)
        if key is not None:
            self._remove(self._keyed.pop(key, 0))
        self._last += 1
        if emitted.stream == "points":
            self._add_points(emitted, now)
        self._pieces[self._last] = Kept(now, emitted)
        self.size += _size(emitted)
        if key is not None:
            self._keyed[key] = self._last
        while self.size > MOST_BYTES:
            self.cut += self._remove(next(iter(self._pieces)))

    def since(self, when: float) -> Iterator[Emitted]:
        """The pieces that came at that time or later; what is text begins with a whole line."""
        kept = list(self._pieces.values())
        first = next((place for place, each in enumerate(kept) if each.when >= when), len(kept))
        while first and first < len(kept) and _goes_on(kept[first - 1].emitted):
            first -= 1
        going = {number for plot in self._plots.values() if plot.closed_at >= when for number in plot.numbers}
        earlier = [self._pieces[number] for number in list(self._pieces)[:first] if number in going]
        return (each.emitted for each in [*earlier, *kept[first:]])

    def _add_points(self, emitted: Emitted, now: float) -> None:
        """A plot that has not ended by then is shown again from its beginning: the rest of a line says little."""
        try:
            plot = msgspec.json.decode(emitted.data, type=_Plot)
        except UNREADABLE:
            return
        key = (emitted.task_id, f"points {plot.plot}", plot.run)
        known = self._plots.setdefault(key, _PlotPieces())
        if plot.whole:
            for earlier in known.numbers:
                self._remove(earlier)
            known.numbers.clear()
        known.numbers.append(self._last)
        known.closed_at = now if plot.closed else float("inf")
        if len(self._plots) > MOST_PLOTS:
            del self._plots[next(iter(self._plots))]

    def clear(self) -> None:
        """Keep nothing of what came so far."""
        self.size = self.cut = 0
        self._pieces.clear()
        self._keyed.clear()
        self._plots.clear()

    def give_up(self) -> None:
        """Others need the room: all that is kept counts as cut."""
        cut = self.cut + sum(len(kept.emitted.data) for kept in self._pieces.values())
        self.clear()
        self.cut = cut

    def _remove(self, number: int) -> int:
        """Returns how many bytes of data it had."""
        kept = self._pieces.pop(number, None)
        if kept is None:
            return 0
        self.size -= _size(kept.emitted)
        return len(kept.emitted.data)


def _size(emitted: Emitted) -> int:
    return len(emitted.data) + OVERHEAD


def _goes_on(emitted: Emitted) -> bool:
    """Whether the next piece may continue a line of this one."""
    return emitted.stream in ("stdout", "stderr") and not emitted.data.endswith(b"\n")


def _key(emitted: Emitted) -> Key | None:
    """By what a piece takes the place of an earlier one; None for text and for what is not well formed."""
    stream = emitted.stream
    try:
        if stream == "progress":
            return emitted.task_id, stream, msgspec.json.decode(emitted.data, type=_Bar).bar
        if stream == "update_display_data":
            name = msgspec.json.decode(emitted.data, type=_Display).transient.get("display_id")
            return (emitted.task_id, stream, str(name)) if name is not None else None
    except UNREADABLE:
        return None
    return None
