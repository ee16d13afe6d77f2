"""How many items the next chunk of a map gets: one at first, then as many as their measured run time allows.

Pure: it is told what ran and for how long, and looks at no clock.
"""

from __future__ import annotations

import math

TARGET_SECONDS = 0.05
"""A chunk should run about this long: the cost of sending it is then lost in it, and Stop or progress seldom wait."""

GROWTH = 8
"""A chunk has at most so many times the items of one that was measured: the first items may be unlike the rest."""

IN_FLIGHT = 3
"""Chunks per slot that are submitted and have not ended: one runs, the next waits, one is on its way."""

AHEAD = 16
"""Chunks per slot that may have been submitted and not yet taken by the consumer."""

_MEMORY = 0.5
"""What a measurement counts for when the next one comes."""


class ChunkSizes:
    """Plans one map: `slots` tasks can run at once, `total` items are expected (None: unknown)."""

    def __init__(self, slots: int, total: int | None, fixed: int | None = None) -> None:
        self.slots = max(1, slots)
        self._left = total
        self._fixed = fixed
        self._items = 0.0
        self._seconds = 0.0
        self._largest = 0

    def take(self) -> int:
        """The size of the next chunk, which the caller now fills."""
        size = self._fixed or self._next()
        if self._left is not None:
            size = min(size, self._left)
            self._left -= size
        return size

    def ran(self, items: int, seconds: float) -> None:
        """A chunk has run; `seconds` were spent inside the function."""
        self._items = self._items * _MEMORY + items
        self._seconds = self._seconds * _MEMORY + seconds
        self._largest = max(self._largest, items)

    def may_submit(self, in_flight: int, untaken: int) -> bool:
        """Whether one more chunk should be on its way."""
        return in_flight < IN_FLIGHT * self.slots and untaken < AHEAD * self.slots

    def _next(self) -> int:
        if not self._items:
            return 1
        each = max(self._seconds / self._items, 1e-9)
        size = TARGET_SECONDS / each
        if self._left is not None:
            # The last chunks get smaller and smaller, so that all slots end at about the same time.
            size = min(size, math.ceil(self._left / (2 * self.slots)))
        return max(1, int(min(size, self._largest * GROWTH)))
