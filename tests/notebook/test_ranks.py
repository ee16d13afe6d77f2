"""A rank's names."""

from __future__ import annotations

from nbray.notebook.ranks import NAMES, Rank


def test_a_cell_finds_its_number_and_how_many_there_are() -> None:
    names = Rank(2, 4, "rank 2").names
    assert names == {"rank": 2, "world": 4}
    assert tuple(names) == NAMES
