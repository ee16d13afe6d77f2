"""How many references to each object live in this process, settled in batches.

`hold` and `release` only note down what happened: they run in finalizers, on any thread, even inside this module, so they
take no lock and touch no table. `settle` does the sums, under the connection's lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from nbray.ids import ObjectId


class Settlement(NamedTuple):
    """What the scheduler must hear: references that began here and references that ended here."""

    held: list[ObjectId]
    released: list[ObjectId]


_NOTHING = Settlement([], [])


class References:
    """The process's counts; a pin on an object's bytes counts as a reference."""

    def __init__(self) -> None:
        self.counts: dict[ObjectId, int] = {}
        """As far as settled."""
        self._notes: deque[int] = deque()
        """Object ids in the order of events, negative where a reference ended."""
        self._began: dict[ObjectId, None] = {}
        self._ended: dict[ObjectId, None] = {}

    def __contains__(self, object_id: ObjectId) -> bool:
        return object_id in self.counts

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def unsettled(self) -> bool:
        """Whether anything was noted since the last settlement."""
        return bool(self._notes)

    @property
    def quiet(self) -> bool:
        """Whether nothing has begun that the scheduler has not heard of; what has ended can wait."""
        return not (self._notes or self._began)

    def create(self, object_ids: Iterable[ObjectId]) -> None:
        """The objects are born here with one reference each, which the scheduler knows of by itself."""
        for object_id in object_ids:
            self.counts[object_id] = 1

    def hold(self, object_id: ObjectId) -> None:
        """One reference more; any thread, no lock."""
        self._notes.append(object_id)

    def release(self, object_id: ObjectId) -> None:
        """One reference less; any thread, no lock."""
        self._notes.append(-object_id)

    def settle(self) -> None:
        """Do the sums of all notes."""
        counts, notes = self.counts, self._notes
        for _ in range(len(notes)):
            note = notes.popleft()
            object_id = ObjectId(abs(note))
            count = counts.get(object_id, 0) + (1 if note > 0 else -1)
            if count > 0:
                counts[object_id] = count
                if count == 1 and note > 0:
                    _move(object_id, self._ended, self._began)
            elif counts.pop(object_id, 0):
                _move(object_id, self._began, self._ended)

    def take(self, *, ended: bool = True) -> Settlement:
        """Settle, and return what the scheduler has not heard yet; what began and ended in between it never hears of.

        Without `ended`, references that ended are kept for a later call.
        """
        if self._notes:
            self.settle()
        if not (self._began or (ended and self._ended)):
            return _NOTHING
        settlement = Settlement(list(self._began), list(self._ended) if ended else [])
        self._began.clear()
        if ended:
            self._ended.clear()
        return settlement

    @property
    def unsaid(self) -> int:
        """How many references have ended, as far as settled, without the scheduler having heard of it."""
        return len(self._ended)


def _move(object_id: ObjectId, opposite: dict[ObjectId, None], events: dict[ObjectId, None]) -> None:
    if object_id in opposite:
        del opposite[object_id]
    else:
        events[object_id] = None
