"""Which bytes of the arena are taken: grants extents, and says which idle pages to give back to the system.

Pages that already hold memory are granted before fresh ones: writing to fresh pages costs five times as much, and
reuse keeps the arena small. Which process touched a page before does not matter: `Arena.touch` maps pages that exist
sixteen at a time, for half the price of the copy that follows, and only once per process and page.

Invariants: extents do not overlap; the idle pages are the free pages that were granted since they were last given
back; live bytes never exceed the limit, nor live and idle ones after `excess`. The arena is larger than the limit: a
sparse one costs nothing, and room to spare is what keeps fragments from failing a request.
"""

from __future__ import annotations

import os
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Final, NamedTuple

PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Extent(NamedTuple):
    """A granted part of the arena; `size` is a multiple of the page."""

    offset: int
    size: int
    warm: bool
    """All its pages hold memory; else at least one is fresh, and write(2) is the quickest way to fill it."""


class Allocator:
    """Extents of an arena of `arena_size` bytes, of which `limit` may be live at once; sizes are rounded up to pages."""

    def __init__(self, limit: int, arena_size: int) -> None:
        self.limit = limit
        self.used = 0
        """Bytes in live extents."""
        self._extents: dict[int, int] = {}
        self._free = Runs()
        self._free.add(0, arena_size // PAGE * PAGE)
        self._idle = Runs()
        self._aging = Runs()
        """The pages that have been idle since `_marked`."""
        self._marked = float("-inf")

    def __repr__(self) -> str:
        return f"Allocator({self.used} of {self.limit} bytes in {len(self._extents)} extents, {self.idle} idle)"

    @property
    def idle(self) -> int:
        """Bytes of pages that hold memory for nothing but quick reuse."""
        return self._idle.total

    def allocate(self, size: int) -> Extent | None:
        """The smallest hole that fits, of idle pages if there is one; None when there is no room."""
        assert size > 0, size
        size = -(-size // PAGE) * PAGE
        if self.used + size > self.limit:
            return None
        offset = self._idle.best_fit(size)
        warm = offset is not None
        if offset is None:
            offset = self._free.best_fit(size)
        if offset is None:
            return None
        for runs in (self._free, self._idle, self._aging):
            runs.discard(offset, offset + size)
        self._extents[offset] = size
        self.used += size
        return Extent(offset, size, warm)

    def free(self, offset: int) -> None:
        """End the extent that begins at `offset`; its pages are idle now. KeyError when there is none."""
        size = self._end(offset)
        self._idle.add(offset, offset + size)

    def abandon(self, offset: int) -> tuple[int, int]:
        """End an extent that was perhaps not filled: offset and size of the pages to give back, which count as fresh."""
        return offset, self._end(offset)

    def expired(self, now: float, after: float, at_most: int = 64 << 20) -> list[tuple[int, int]]:
        """Offsets and sizes of pages to give back now, idle for `after` seconds or longer, but less than twice that.

        They count as fresh again. At most `at_most` bytes (giving 64 MiB back takes about 10 ms), so call again while
        this gives something.
        """
        if now - self._marked < after:
            return []
        if not self._aging.total:
            self._aging, self._marked = self._idle.copy(), now
        return self._give_back(self._aging, at_most) if now - self._marked >= after else []

    def excess(self) -> list[tuple[int, int]]:
        """Offsets and sizes of idle pages to give back now, because live and idle ones together exceed the limit."""
        return self._give_back(self._idle, self.used + self.idle - self.limit)

    def _end(self, offset: int) -> int:
        size = self._extents.pop(offset)
        self.used -= size
        self._free.add(offset, offset + size)
        return size

    def _give_back(self, runs: Runs, at_most: int) -> list[tuple[int, int]]:
        pieces = list(runs.first(at_most))
        for offset, size in pieces:
            self._idle.discard(offset, offset + size)
            self._aging.discard(offset, offset + size)
        return pieces


class Runs:
    """A set of addresses as disjoint runs, neighbours joined; finds the smallest run that holds a size."""

    def __init__(self) -> None:
        self.total = 0
        self._starts: list[int] = []
        self._ends: dict[int, int] = {}
        self._by_size: list[tuple[int, int]] = []
        """Size and start of each run, sorted; moving a list's tail is quick up to hundreds of thousands of runs."""

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Start and end of each run, in order."""
        return ((start, self._ends[start]) for start in self._starts)

    def copy(self) -> Runs:
        """An independent set of the same runs."""
        twin = Runs()
        twin.total = self.total
        twin._starts, twin._ends, twin._by_size = self._starts.copy(), self._ends.copy(), self._by_size.copy()
        return twin

    def best_fit(self, size: int) -> int | None:
        """The start of the smallest run of at least `size`, the lowest of equals."""
        position = bisect_left(self._by_size, (size, 0))
        return self._by_size[position][1] if position < len(self._by_size) else None

    def first(self, total: int) -> Iterator[tuple[int, int]]:
        """Starts and sizes of the lowest `total` addresses."""
        for start, end in self:
            if total <= 0:
                return
            size = min(end - start, -(-total // PAGE) * PAGE)
            yield start, size
            total -= size

    def add(self, start: int, end: int) -> None:
        """Join [start, end), of which nothing is in the set yet."""
        position = bisect_left(self._starts, start)
        if position < len(self._starts) and self._starts[position] == end:
            end = self._remove(position)[1]
        if position and self._ends[self._starts[position - 1]] == start:
            start = self._remove(position - 1)[0]
        self._insert(start, end)

    def discard(self, start: int, end: int) -> None:
        """Take out what is in [start, end)."""
        position = bisect_right(self._starts, start)
        if position and self._ends[self._starts[position - 1]] > start:
            position -= 1
        while position < len(self._starts) and self._starts[position] < end:
            run_start, run_end = self._remove(position)
            if run_start < start:
                self._insert(run_start, start)
                position += 1
            if run_end > end:
                self._insert(end, run_end)

    def _insert(self, start: int, end: int) -> None:
        insort(self._starts, start)
        self._ends[start] = end
        insort(self._by_size, (end - start, start))
        self.total += end - start

    def _remove(self, position: int) -> tuple[int, int]:
        start = self._starts.pop(position)
        end = self._ends.pop(start)
        del self._by_size[bisect_left(self._by_size, (end - start, start))]
        self.total -= end - start
        return start, end
