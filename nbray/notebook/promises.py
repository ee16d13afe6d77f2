"""What the tasks of a cell will bring back, written down on the cluster: a later kernel takes it over where this one is lost."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from nbray.backends.backend import Backend
from nbray.ids import CellRunId, ObjectId
from nbray.objects import ObjectRef
from nbray.unreadable import UNREADABLE

Kind = Literal["cell", "items", "ranks"]


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """Which objects a cell waits for, and what it makes of them."""

    kind: Kind
    """One task that brings the names of a cell; or one for each item or rank, whose values are put into lists by name."""
    ids: list[ObjectId]
    """In the order of the items."""
    wanted: tuple[str, ...] = ()
    """The names that come back."""
    required: bool = False
    """The user has named them."""
    namespace: str = ""
    """The persistent namespace in which the cell runs; "" for none."""

    def encode(self) -> bytes:
        """As it is kept on the cluster."""
        return msgspec.json.encode(self)


def decode(note: bytes) -> Promise | None:
    """The promise that `encode` wrote down; None for a note of another release.

    >>> decode(Promise(kind="cell", ids=[7], wanted=("x",)).encode()).wanted, decode(b"{}")
    (('x',), None)
    """
    try:
        return msgspec.json.decode(note, type=Promise)
    except UNREADABLE:
        return None


def give(backend: Backend, cell_run: CellRunId, promise: Promise) -> None:
    """Write down what this cell run waits for; does not wait."""
    _interrupted.clear()
    backend.note(cell_run, promise.encode())


_interrupted: list[ObjectRef] = []
"""What a cell waited for whose wait was interrupted: where a restart did that, the next kernel asks for it."""


def keep(refs: Iterable[ObjectRef]) -> None:
    """A wait for these was interrupted: let them live until the next cell, or with their cell run where none comes."""
    _interrupted.extend(refs)
