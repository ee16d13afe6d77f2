"""Sizes of a map's chunks, by simulation: no clock, no backend."""

from __future__ import annotations

import heapq

import pytest

from nbray.chunk_sizes import TARGET_SECONDS, ChunkSizes

TRIP = 0.0003
"""Time from the end of a chunk until its successor runs, in the simulation."""


def simulate(costs: list[float], slots: int, *, known: bool = True) -> tuple[float, list[int]]:
    """Run items of such costs; returns when the last ends, and the sizes of the chunks."""
    sizes = ChunkSizes(slots, len(costs) if known else None)
    free = [0.0] * slots
    ends: list[tuple[float, int, float]] = []
    chunks: list[int] = []
    now, at = 0.0, 0
    while at < len(costs) or ends:
        while at < len(costs) and sizes.may_submit(len(ends), len(ends)):
            size = min(sizes.take(), len(costs) - at)
            seconds = sum(costs[at : at + size])
            start = max(heapq.heappop(free), now) + TRIP
            heapq.heappush(free, start + seconds)
            heapq.heappush(ends, (start + seconds, size, seconds))
            chunks.append(size)
            at += size
        now, size, seconds = heapq.heappop(ends)
        sizes.ran(size, seconds)
    return now, chunks


def test_cheap_items_go_in_a_few_large_chunks() -> None:
    end, chunks = simulate([1e-7] * 100_000, slots=2)
    assert len(chunks) < 80
    assert end < 0.03


def test_long_items_go_one_by_one() -> None:
    end, chunks = simulate([1.0] * 10, slots=2)
    assert chunks == [1] * 10
    assert end == pytest.approx(5, abs=0.01)


def test_chunks_grow_to_the_target_and_no_further() -> None:
    _, chunks = simulate([0.001] * 10_000, slots=2)
    assert max(chunks) == pytest.approx(TARGET_SECONDS / 0.001, abs=1)


def test_a_cheap_beginning_does_not_mislead_for_long() -> None:
    end, chunks = simulate([1e-6] * 40 + [0.5] * 40, slots=2)
    assert sum(chunks) == 80
    assert end < 1.2 * 10  # 20 s of work on 2 slots


def test_a_slow_first_item_does_not_keep_chunks_small() -> None:
    _, chunks = simulate([1.0] + [1e-6] * 200_000, slots=2)
    assert len(chunks) < 100


@pytest.mark.parametrize("slots", [1, 2, 7, 64])
@pytest.mark.parametrize("each", [1e-6, 1e-4, 1e-2])
def test_slots_end_together(slots: int, each: float) -> None:
    count = 20_000 if each < 1e-3 else 2_000
    end, chunks = simulate([each] * count, slots)
    assert sum(chunks) == count
    assert end < 1.15 * count * each / slots + 0.03


def test_unknown_length_still_grows() -> None:
    _, chunks = simulate([1e-6] * 100_000, slots=2, known=False)
    assert max(chunks) > 10_000


def test_fixed_sizes() -> None:
    sizes = ChunkSizes(2, 25, 10)
    assert [sizes.take() for _ in range(4)] == [10, 10, 5, 0]


def test_what_is_ahead_is_bounded() -> None:
    sizes = ChunkSizes(2, None)
    assert sizes.may_submit(in_flight=5, untaken=5)
    assert not sizes.may_submit(in_flight=6, untaken=6)
    assert not sizes.may_submit(in_flight=0, untaken=32)


def test_time_zero_is_no_trouble() -> None:
    sizes = ChunkSizes(1, 1000)
    sizes.ran(1, 0.0)
    assert 1 <= sizes.take() <= 8
