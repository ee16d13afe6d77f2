"""A rank: one of several runs of a cell at once, with its number and how many there are."""

from __future__ import annotations

from typing import NamedTuple

STREAM = "rank"
"""Of output that says which rank a task is, and how it ended."""

NAMES = ("rank", "world")
"""What a cell finds: its number, and how many there are."""


class Rank(NamedTuple):
    """One of `world` runs of a cell."""

    number: int
    world: int
    label: str
    """How people find it: "rank 2", or the name of its namespace."""

    @property
    def names(self) -> dict[str, int]:
        """What the cell finds under `NAMES`."""
        return dict(zip(NAMES, (self.number, self.world), strict=True))
