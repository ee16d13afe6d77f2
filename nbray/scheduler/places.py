"""Where the bytes of one stored object are, and the table of moves between these places.

    IN_MEMORY <--> LEAVING --> WRITING --> ON_DISK <--> RESTORING --> IN_MEMORY
                      |           |           ^             |
                      |           +--> ENDING | <-----------+
                      +-----------------------+     (an object that has a copy on disk is not written again)

While the bytes are to be read the object's value is `Stored`; in every other state it is `Spilled`.
"""

from __future__ import annotations

from enum import IntEnum

from nbray.errors import InternalError
from nbray.ids import ObjectId, ProcessId
from nbray.scheduler.messages import Spilled, Stored
from nbray.scheduler.ownership import ObjectEntry


class PlaceState(IntEnum):
    """Where the bytes are."""

    IN_MEMORY = 0
    LEAVING = 1
    """Processes that may know where it is were told to let go of it; not all have answered."""
    WRITING = 2
    """Nobody reads it any more, and it is being copied to disk."""
    ON_DISK = 3
    RESTORING = 4
    """It has an extent again, which is being filled."""
    ENDING = 5
    """The object is gone, but its extent is still being read or filled."""
    GONE = 6


PLACE_MOVES: dict[PlaceState, set[PlaceState]] = {
    PlaceState.IN_MEMORY: {PlaceState.LEAVING, PlaceState.GONE},
    PlaceState.LEAVING: {PlaceState.IN_MEMORY, PlaceState.WRITING, PlaceState.ON_DISK, PlaceState.GONE},
    PlaceState.WRITING: {PlaceState.IN_MEMORY, PlaceState.ON_DISK, PlaceState.ENDING},
    PlaceState.ON_DISK: {PlaceState.RESTORING, PlaceState.GONE},
    PlaceState.RESTORING: {PlaceState.IN_MEMORY, PlaceState.ON_DISK, PlaceState.ENDING, PlaceState.GONE},
    PlaceState.ENDING: {PlaceState.GONE},
    PlaceState.GONE: set(),
}


class Place:
    """One stored object's bytes."""

    __slots__ = (
        "asked", "checksum", "copied", "entry", "name", "not_before", "offset", "restored", "size", "state",
        "wanted",
    )  # fmt: skip

    def __init__(self, entry: ObjectEntry, offset: int, size: int, name: str) -> None:
        self.entry = entry
        self.offset = offset
        """Of its extent; means nothing while it is on disk only."""
        self.size = size
        self.name = name
        """What made it, for people."""
        self.state = PlaceState.IN_MEMORY
        self.copied = False
        """There is a copy on disk. Objects never change, so it stays good when the object comes back."""
        self.checksum = 0
        self.restored = 0
        """How often it has come back."""
        self.asked: set[int] = set()
        """While LEAVING: the LetGo messages that are not answered."""
        self.not_before = 0.0
        """Somebody was reading it: when it may be asked for next."""
        self.wanted: list[tuple[ProcessId, int]] = []
        """Who waits to read it, and the request by which."""

    def __repr__(self) -> str:
        return f"<{self.name} {self.object_id:#x}, {self.size} bytes {self.state.name}>"

    @property
    def object_id(self) -> ObjectId:
        """The object's id."""
        return self.entry.object_id

    def move(self, new: PlaceState) -> None:
        """Go to another state, and let the object's value say whether it can be read."""
        if new not in PLACE_MOVES[self.state]:
            raise InternalError(f"{self!r} cannot move to {new.name}")
        self.restored += self.state is PlaceState.RESTORING and new is PlaceState.IN_MEMORY
        self.state = new
        value = self.entry.value
        assert isinstance(value, (Stored, Spilled))
        if new is PlaceState.IN_MEMORY:
            self.entry.value = Stored(self.offset, self.size, value.nested, self.restored)
        elif type(value) is Stored:
            self.entry.value = Spilled(self.size, value.nested)
