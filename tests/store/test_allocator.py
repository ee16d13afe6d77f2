"""The allocator against a model that keeps one record for each page."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from nbray.store.allocator import PAGE, Allocator, Runs

LIMIT_PAGES = 24
ARENA_PAGES = 40
AFTER = 30.0


class AllocatorMachine(RuleBasedStateMachine):
    """Any sequence of requests, frees and passing time, on an arena of 40 pages."""

    def __init__(self) -> None:
        super().__init__()
        self.allocator = Allocator(LIMIT_PAGES * PAGE, ARENA_PAGES * PAGE)
        self.now = 0.0
        self.live: dict[int, int] = {}
        self.idle_since: dict[int, float] = {}

    @property
    def taken(self) -> set[int]:
        return {page for first, pages in self.live.items() for page in range(first, first + pages)}

    def holes(self, pages: set[int]) -> list[int]:
        """Lengths of the runs of consecutive numbers."""
        starts = sorted(page for page in pages if page - 1 not in pages)
        ends = sorted(page for page in pages if page + 1 not in pages)
        return [end - start + 1 for start, end in zip(starts, ends, strict=True)]

    def give_back(self, pieces: list[tuple[int, int]]) -> list[float]:
        """Since when each of these pages was idle."""
        return [
            self.idle_since.pop(page)
            for offset, size in pieces
            for page in range(offset // PAGE, (offset + size) // PAGE)
        ]

    @rule(pages=st.integers(1, 16), missing=st.integers(0, PAGE - 1))
    def allocate(self, pages: int, missing: int) -> None:
        free = set(range(ARENA_PAGES)) - self.taken
        idle_holes = [hole for hole in self.holes(set(self.idle_since)) if hole >= pages]
        extent = self.allocator.allocate(pages * PAGE - missing)
        if extent is None:
            assert len(self.taken) + pages > LIMIT_PAGES or max(self.holes(free)) < pages
            return
        first, length = extent.offset // PAGE, extent.size // PAGE
        granted = set(range(first, first + length))
        assert length == pages
        assert granted <= free
        assert extent.warm == (granted <= set(self.idle_since)) == bool(idle_holes)
        self.live[first] = length
        for page in granted:
            self.idle_since.pop(page, None)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def free(self, data: st.DataObject) -> None:
        first = data.draw(st.sampled_from(sorted(self.live)))
        self.allocator.free(first * PAGE)
        self.idle_since |= dict.fromkeys(range(first, first + self.live.pop(first)), self.now)

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def abandon(self, data: st.DataObject) -> None:
        first = data.draw(st.sampled_from(sorted(self.live)))
        assert self.allocator.abandon(first * PAGE) == (first * PAGE, self.live.pop(first) * PAGE)

    @rule(seconds=st.sampled_from([1.0, 10.0, 31.0]), at_most=st.sampled_from([PAGE, 5 * PAGE, ARENA_PAGES * PAGE]))
    def expire(self, seconds: float, at_most: int) -> None:
        self.now += seconds
        pieces = self.allocator.expired(self.now, AFTER, at_most)
        assert sum(size for _, size in pieces) <= at_most
        assert all(self.now - since >= AFTER for since in self.give_back(pieces))

    @rule()
    def wait_long(self) -> None:
        """Everything that stays idle through two periods is given back."""
        for _ in range(2):
            self.now += AFTER
            while pieces := self.allocator.expired(self.now, AFTER):
                self.give_back(pieces)
        assert not self.idle_since

    @rule()
    def trim(self) -> None:
        excess = len(self.taken) + len(self.idle_since) - LIMIT_PAGES
        assert len(self.give_back(self.allocator.excess())) == max(0, excess)

    @invariant()
    def counts(self) -> None:
        assert self.allocator.used == len(self.taken) * PAGE
        assert self.allocator.idle == len(self.idle_since) * PAGE


TestAllocator = AllocatorMachine.TestCase
TestAllocator.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20))))
def test_runs_are_a_set_of_addresses(parts: list[tuple[int, int]]) -> None:
    runs, model = Runs(), set[int]()
    for start, size in parts:
        part = set(range(start, start + size))
        if part.isdisjoint(model):
            runs.add(start, start + size)
            model |= part
        else:
            runs.discard(start, start + size)
            model -= part
        assert {address for start, end in runs for address in range(start, end)} == model
        assert all(end < start for (_, end), (start, _) in zip(list(runs), list(runs)[1:], strict=False))
        assert runs.total == len(model)


def test_smallest_hole_that_fits_is_taken_then_the_lowest() -> None:
    runs = Runs()
    for start, end in ((0, 50), (100, 120), (200, 220), (300, 310)):
        runs.add(start, end)
    assert [runs.best_fit(size) for size in (10, 11, 20, 21, 51)] == [300, 100, 100, 0, None]


def test_put_again_and_again_stays_in_place_and_warm() -> None:
    allocator = Allocator(10 * PAGE, 20 * PAGE)
    extents = []
    for _ in range(5):
        extent = allocator.allocate(4 * PAGE)
        assert extent is not None
        extents.append((extent.offset, extent.warm))
        allocator.free(extent.offset)
    assert extents == [(0, False), (0, True), (0, True), (0, True), (0, True)]


def test_pages_that_were_given_back_are_fresh_again() -> None:
    allocator = Allocator(10 * PAGE, 20 * PAGE)
    extent = allocator.allocate(4 * PAGE)
    assert extent is not None
    allocator.free(extent.offset)
    assert allocator.expired(100.0, 30.0) == []
    assert allocator.expired(130.0, 30.0) == [(0, 4 * PAGE)]
    assert allocator.allocate(4 * PAGE) == (0, 4 * PAGE, False)


def test_all_idle_pages_are_given_back_at_once_when_asked() -> None:
    allocator = Allocator(10 * PAGE, 20 * PAGE)
    for extent in [allocator.allocate(PAGE) for _ in range(10)]:
        assert extent is not None
        allocator.free(extent.offset)
    assert allocator.expired(5.0, 0.0) == [(0, 10 * PAGE)]
    assert allocator.idle == 0


def test_freeing_twice_is_an_error() -> None:
    allocator = Allocator(10 * PAGE, 20 * PAGE)
    extent = allocator.allocate(1)
    assert extent is not None
    allocator.free(extent.offset)
    with pytest.raises(KeyError):
        allocator.free(extent.offset)


def test_snapshot_in_words() -> None:
    allocator = Allocator(10 * PAGE, 20 * PAGE)
    allocator.allocate(2 * PAGE)
    assert repr(allocator) == f"Allocator({2 * PAGE} of {10 * PAGE} bytes in 1 extents, 0 idle)"
