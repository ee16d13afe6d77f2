"""The copies of stored objects on disk: one file for each, private, with a checksum over all of it.

Bytes go from the arena's pages to the file and back without another copy; only into fresh pages they go by way of a buffer and
write(2), which is quicker there. The checksum is made piece by piece, while a piece is still in the processor's cache.
What is on disk is only ever read back by the process that wrote it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator

import xxhash

from nbray.errors import StoreFull
from nbray.ids import ObjectId
from nbray.store.arena import Arena

PIECE = 4 << 20
SPARE_SHARE = 20
MOST_SPARE = 1 << 30
"""One part in so many of the disk, but not more than this, stays free for others."""


class Damaged(Exception):
    """What is on disk is not what was written there; says how it differs."""


class SpillFiles:
    """Copies extents of the arena to files and back; every call blocks for as long as the disk takes."""

    def __init__(self, arena: Arena, prepare: Callable[[], int]) -> None:
        self._arena = arena
        self._prepare = prepare
        """Makes the directory and opens it; called before the first file is written.

        Files are named relative to its descriptor: whoever can rename it cannot put another one in its place.
        """
        self._directory: int | None = None

    def __repr__(self) -> str:
        return f"SpillFiles(directory={self._directory})"

    def write(self, object_id: ObjectId, offset: int, size: int) -> int:
        """Copy an extent into a file; returns its checksum. OSError when the disk does not take it: then nothing is left."""
        if self._directory is None:
            self._directory = self._prepare()
        descriptor = self._open(object_id, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            _reserve(descriptor, size)
            with self._mapped(offset, size) as view:
                return _write(descriptor, view)
        except BaseException:
            self.remove(object_id)
            raise
        finally:
            os.close(descriptor)

    def read(self, object_id: ObjectId, offset: int, size: int, checksum: int, warm: bool) -> None:
        """Copy a file into an extent. Raises Damaged when it is not what was written, StoreFull when the arena has no room.

        `warm` says that all the extent's pages hold memory already.
        """
        try:
            descriptor = self._open(object_id, os.O_RDONLY)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):  # the file is as it should be, and can be read later
                raise StoreFull(f"it is on disk, and the scheduler process can open no more files ({error.strerror})") from error
            raise Damaged(f"its file cannot be opened ({error.strerror})") from error
        try:
            found = self._read_mapped(descriptor, offset, size) if warm else self._read_through(descriptor, offset, size)
        finally:
            os.close(descriptor)
        if found != checksum:
            raise Damaged("its checksum is not the one with which it was written")

    def remove(self, object_id: ObjectId) -> None:
        """Remove the copy of an object."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{object_id:x}", dir_fd=self._directory)

    def _open(self, object_id: ObjectId, flags: int) -> int:
        return os.open(f"{object_id:x}", flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self._directory)

    def _read_mapped(self, descriptor: int, offset: int, size: int) -> int:
        digest = xxhash.xxh3_64()
        with self._mapped(offset, size) as view:
            for start in range(0, size, PIECE):
                _fill(descriptor, view[start : start + PIECE], start, size)
                digest.update(view[start : start + PIECE])
        return digest.intdigest()

    def _read_through(self, descriptor: int, offset: int, size: int) -> int:
        digest = xxhash.xxh3_64()
        buffer = memoryview(bytearray(min(PIECE, size)))
        for start in range(0, size, PIECE):
            piece = buffer[: size - start]
            _fill(descriptor, piece, start, size)
            digest.update(piece)
            self._arena.pwrite(piece, offset + start)
        return digest.intdigest()

    @contextlib.contextmanager
    def _mapped(self, offset: int, size: int) -> Iterator[memoryview]:
        """The extent's bytes, whose pages hold memory."""
        self._arena.touch(offset, size)
        try:
            yield self._arena.write_view(offset, size)
        finally:
            self._arena.untouch(offset, size)


def _write(descriptor: int, view: memoryview) -> int:
    """Write all of it; returns its checksum."""
    digest = xxhash.xxh3_64()
    for start in range(0, len(view), PIECE):
        piece = view[start : start + PIECE]
        digest.update(piece)
        while piece:
            written = os.pwrite(descriptor, piece, start)
            piece, start = piece[written:], start + written
    return digest.intdigest()


def _fill(descriptor: int, piece: memoryview, start: int, size: int) -> None:
    """Read a piece of a file of `size` bytes."""
    while piece:
        try:
            count = os.preadv(descriptor, [piece], start)
        except OSError as error:  # the disk has failed
            raise Damaged(f"its file cannot be read ({error.strerror})") from error
        if not count:
            raise Damaged(f"its file ends after {start:,} of {size:,} bytes")
        piece, start = piece[count:], start + count


def _reserve(descriptor: int, size: int) -> None:
    """Make sure that there is room for the whole file before a byte of it is written."""
    disk = os.fstatvfs(descriptor)
    spare = min(MOST_SPARE, disk.f_blocks * disk.f_frsize // SPARE_SHARE)
    free = disk.f_bavail * disk.f_frsize
    if free < size + spare:
        raise OSError(errno.ENOSPC, f"the disk has {free / 2**30:.2f} GiB left, of which {spare / 2**30:.2f} GiB stay free")
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
