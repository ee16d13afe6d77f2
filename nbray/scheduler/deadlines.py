"""What the scheduler must do later, ordered by time; also holds the time of the event in hand."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Deadlines:
    """A heap of calls to make; a call whose reason has gone must notice that itself."""

    def __init__(self) -> None:
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._counter = 0

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Make the call once `seconds` have passed."""
        self.at(self.now + seconds, call)

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Make the call at that time."""
        self._counter += 1
        heapq.heappush(self._heap, (when, self._counter, call))

    def next(self) -> float | None:
        """When the next call is due."""
        return self._heap[0][0] if self._heap else None

    def run_due(self) -> None:
        """Make every call whose time has come, in order."""
        while self._heap and self._heap[0][0] <= self.now:
            heapq.heappop(self._heap)[2]()
