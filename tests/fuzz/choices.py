"""Decisions read from bytes, so that hypothesis, a seeded loop and atheris can all steer the same generators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Choices:
    """Takes decisions from the front of `data`; when it is used up, every decision is the simplest one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def __repr__(self) -> str:
        return f"Choices({self._place} of {len(self._data)} bytes taken)"

    @property
    def left(self) -> int:
        """Bytes that have not been taken."""
        return len(self._data) - self._place

    def take(self, count: int) -> bytes:
        """The next bytes, fewer at the end."""
        piece = self._data[self._place : self._place + count]
        self._place += len(piece)
        return piece

    def number(self, most: int) -> int:
        """From 0 to `most`."""
        size = (most.bit_length() + 7) // 8
        return int.from_bytes(self.take(size), "little") % (most + 1)

    def pick(self, items: Sequence[Item]) -> Item:
        """One of them."""
        return items[self.number(len(items) - 1)]

    def chance(self, one_in: int) -> bool:
        """Seldom true, never when the bytes are used up."""
        return self.number(one_in - 1) == one_in - 1

    def rest(self) -> bytes:
        """All that has not been taken."""
        return self.take(self.left)
