"""Who has which part of the arena: extents that were granted and are being written, and the limit on what lives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nbray.ids import ProcessId
from nbray.scheduler.actions import Punch
from nbray.scheduler.deadlines import Deadlines
from nbray.scheduler.messages import Failure, Granted
from nbray.scheduler.processes import Outbox, Process

PUNCH_SECONDS = 0.1
"""Between two portions of idle pages: giving one portion back takes about 10 ms, in which nothing else goes on."""


class Extent(Protocol):
    """A part of the arena."""

    @property
    def offset(self) -> int:
        """Where it begins."""

    @property
    def size(self) -> int:
        """Its bytes, at least those asked for."""

    @property
    def warm(self) -> bool:
        """Whether all its pages hold memory already."""


class Allocator(Protocol):
    """What the scheduler needs of the store's allocator; pure, as the scheduler is."""

    @property
    def used(self) -> int:
        """Bytes in extents that are allocated."""

    @property
    def idle(self) -> int:
        """Bytes of free pages that still hold memory."""

    def allocate(self, size: int) -> Extent | None:
        """An extent of at least `size` bytes, or None when there is no room."""

    def free(self, offset: int) -> None:
        """Take an extent back, for reuse."""

    def abandon(self, offset: int) -> tuple[int, int]:
        """Take back an extent that was perhaps not filled: the range to give back to the system."""

    def expired(self, now: float, after: float) -> Sequence[tuple[int, int]]:
        """Idle ranges to give back to the system now; to be called again while it gives something."""

    def excess(self) -> Sequence[tuple[int, int]]:
        """Idle ranges to give back now because live and idle ones together exceed the limit."""


class Extents:
    """The arena's extents by the process that writes them; sealed ones belong to objects."""

    def __init__(self, allocator: Allocator, limit: int, idle_return: float, outbox: Outbox, deadlines: Deadlines) -> None:
        self._allocator = allocator
        self._limit = limit
        self._idle_return = idle_return
        self._outbox = outbox
        self._deadlines = deadlines
        self._granted: dict[ProcessId, dict[int, int]] = {}
        self._headroom: int | None = None
        self._punching = False
        self.lacks_memory = False
        """The last request failed because the machine has no memory, though the store had room."""
        self.inline = 0
        """Bytes of small values, which live in the scheduler and count too."""
        self.room = limit
        """Bytes that inline values may take beside the arena's."""

    @property
    def used(self) -> int:
        """Bytes that count toward the limit."""
        return self._allocator.used + self.inline

    def set_headroom(self, size: int) -> None:
        """So much memory can still be populated, as of now."""
        self._headroom = size

    @property
    def most(self) -> int:
        """Bytes that stored objects may take beside the small values."""
        return self._limit - self.inline

    @property
    def excess(self) -> int:
        """Bytes above the limit; negative while there is room."""
        return self.used - self._limit

    @property
    def granted(self) -> bool:
        """Whether any process is writing a value just now."""
        return any(self._granted.values())

    def grant(self, process: Process, request_id: int, size: int) -> bool:
        """Give the process an extent if there is room for one."""
        extent = self.take(size)
        if extent is None:
            return False
        self._granted.setdefault(process.process_id, {})[extent.offset] = size
        self._outbox.send(process.process_id, Granted(request_id, extent.offset, extent.size, extent.warm))
        return True

    def take(self, size: int) -> Extent | None:
        """An extent, for a process or for an object that comes back from disk, if there is room."""
        self.lacks_memory = False
        extent = self._allocator.allocate(size) if self.used + size <= self._limit else None
        if extent is not None and not extent.warm and not self._can_populate(extent.size):
            self.lacks_memory = True
            self._give_back([self._allocator.abandon(extent.offset)])
            return None
        self._update_room()
        return extent

    def _can_populate(self, size: int) -> bool:
        """Whether the machine has memory for fresh pages; idle ones go back first where they are in the way."""
        given = self._give_back(self._allocator.excess())
        if self._headroom is None:
            return True
        self._headroom += given - size
        while self._headroom < 0:
            if not (idle := self._allocator.expired(self._deadlines.now, 0.0)):
                self._headroom += size
                return False
            self._headroom += self._give_back(idle)
        return True

    def seal(self, process: Process, offset: int) -> bool:
        """An object takes over an extent that its process was granted; False when it was not."""
        return self._granted.get(process.process_id, {}).pop(offset, None) is not None

    def give_back(self, process: Process, offset: int) -> None:
        """An extent that was granted is not needed after all."""
        if self.seal(process, offset):
            self.abandon(offset)

    def abandon(self, offset: int) -> None:
        """An extent that was taken and perhaps not filled is not needed after all."""
        self._give_back([self._allocator.abandon(offset)])
        self._update_room()

    def free(self, offset: int) -> None:
        """The extent of an object that is gone, or on disk now."""
        self._allocator.free(offset)
        self._update_room()
        if not self._punching:
            self._punch_later(self._idle_return)

    def forget(self, process_id: ProcessId) -> None:
        """The process is gone, and what it was writing is not worth keeping."""
        self._give_back([self._allocator.abandon(offset) for offset in self._granted.pop(process_id, {})])
        self._update_room()

    def refusal(self, size: int, why: str = "") -> Failure:
        """Why the last request for an extent was not granted."""
        return self._no_memory(size, why) if self.lacks_memory else self.full(size, why)

    def full(self, size: int, why: str = "") -> Failure:
        """Why `size` more bytes have no room; `why` says what else was tried."""
        return Failure(
            "store_full",
            f"The store has no room for {_bytes(size)}: {_bytes(self.used)} of {_bytes(self._limit)} are in use. {why}"
            "Delete references to objects that you need no more (del ref; arrays that came from nbray.get count while they "
            "live), or start the cluster with a larger store.",
        )

    def _no_memory(self, size: int, why: str) -> Failure:
        return Failure(
            "store_full",
            f"The machine has no memory for {_bytes(size)} more in the store: {_bytes(self._headroom or 0)} are free, "
            f"and {_bytes(self.used)} of the store's {_bytes(self._limit)} are in use. {why}Free memory in this notebook or "
            "in others, or delete references to objects that you need no more.",
        )

    def _update_room(self) -> None:
        self.room = self._limit - self._allocator.used

    def _give_back(self, ranges: Sequence[tuple[int, int]]) -> int:
        """Give these pages back to the system; returns their bytes."""
        self._outbox.actions += [Punch(offset, size) for offset, size in ranges]
        return sum(size for _, size in ranges)

    def _punch_later(self, seconds: float) -> None:
        self._punching = True
        self._deadlines.after(seconds, self._punch)

    def _punch(self) -> None:
        """Give idle pages back, some at a time, until there are none."""
        self._punching = False
        gave = self._give_back(self._allocator.expired(self._deadlines.now, self._idle_return))
        if gave or self._allocator.idle:
            self._punch_later(PUNCH_SECONDS if gave else self._idle_return)


def _bytes(size: float) -> str:
    """ "1.5 MiB"."""
    units = ["bytes", "KiB", "MiB", "GiB"]
    while abs(size) >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.4g} {units[0]}"
