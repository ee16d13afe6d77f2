"""Large messages cut into small ones of the same meaning, so that others are heard in between.

A message that names 100,000 tasks keeps the scheduler busy for a quarter of a second. Its slices are handled one in each turn of
the loop; what else the same process has said waits behind them, since order is part of the meaning.
"""

from __future__ import annotations

import msgspec

from nbray.scheduler.messages import Call, Finished, Held, Released, Submit, Subscribe, ToScheduler

SLICE = 1024
"""Entries of one slice: some 3 ms."""

_LISTS = {
    Submit: "tasks", Call: "tasks", Finished: "results", Held: "object_ids", Released: "object_ids", Subscribe: "object_ids",
}  # fmt: skip


def is_large(message: ToScheduler) -> bool:
    """Whether the message is worth cutting.

    >>> is_large(Released(list(range(10)))), is_large(Released(list(range(10_000))))
    (False, True)
    """
    name = _LISTS.get(type(message))
    return name is not None and len(getattr(message, name)) > SLICE


def slices(message: ToScheduler) -> list[ToScheduler]:
    """Messages that say the same one after the other."""
    if not is_large(message):
        return [message]
    name = _LISTS[type(message)]
    entries = getattr(message, name)
    return [
        msgspec.structs.replace(message, **{name: entries[start : start + SLICE]}) for start in range(0, len(entries), SLICE)
    ]  # fmt: skip
