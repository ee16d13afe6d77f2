"""Turns are counted by their length, by the clock and by the CPU apart."""

from __future__ import annotations

import pytest

from nbray.engine import turns
from nbray.engine.turns import MOST_STEPS, Turns


class Clocks:
    """Stand in for the module `time`."""

    def __init__(self) -> None:
        self.now = self.used = 100.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.used


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    clocks = Clocks()
    monkeypatch.setattr(turns, "time", clocks)
    return clocks


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (0.0099, 0), (0.0251, 2), (0.999, 99), (1.5, MOST_STEPS), (60.0, MOST_STEPS)]
)
def test_a_turn_counts_at_its_length(clocks: Clocks, seconds: float, place: int) -> None:
    one = Turns()
    one.begin()
    clocks.now += seconds
    one.end()
    assert [index for index, count in enumerate(one.by_clock) if count] == [place]


def test_what_others_take_of_the_machine_is_not_its_own(clocks: Clocks) -> None:
    one = Turns()
    for _ in range(3):
        one.begin()
        clocks.now += 0.2
        clocks.used += 0.015
        one.end()
    table = one.table()
    assert table["clock"][20] == table["cpu"][1] == 3
    assert sum(table["clock"]) == sum(table["cpu"]) == 3
