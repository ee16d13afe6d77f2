"""The copies of stored objects on disk: one file for each, private, with a checksum over all of it.

Bytes pass through a buffer of a few MiB, which stays in the processor's cache: they are read once, checked, and written once,
and no page of the arena is mapped for it. What is on disk is only ever read back by the process that wrote it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import xxhash

from nbray.ids import ObjectId

PIECE = 4 << 20
SPARE_SHARE = 20
MOST_SPARE = 1 << 30
"""One part in so many of the disk, but not more than this, stays free for others."""


class Damaged(Exception):
    """What is on disk is not what was written there; says how it differs."""


class SpillFiles:
    """Copies extents of the arena to files and back; every call blocks for as long as the disk takes."""

    def __init__(self, arena_fd: int, prepare: Callable[[], Path]) -> None:
        self._arena_fd = arena_fd
        self._prepare = prepare
        """Makes the directory; called before the first file is written."""
        self._directory: Path | None = None

    def __repr__(self) -> str:
        return f"SpillFiles({self._directory})"

    def write(self, object_id: ObjectId, offset: int, size: int) -> int:
        """Copy an extent into a file; returns its checksum. OSError when the disk does not take it: then nothing is left."""
        if self._directory is None:
            self._directory = self._prepare()
        path = self._path(object_id)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _reserve(descriptor, size)
            return self._copy(self._arena_fd, offset, descriptor, 0, size)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def read(self, object_id: ObjectId, offset: int, size: int, checksum: int) -> None:
        """Copy a file into an extent. Raises Damaged when it is not what was written, OSError when the arena has no room."""
        try:
            descriptor = os.open(self._path(object_id), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Damaged(f"its file cannot be opened ({error.strerror})") from error
        try:
            found = self._copy(descriptor, 0, self._arena_fd, offset, size)
        finally:
            os.close(descriptor)
        if found != checksum:
            raise Damaged("its checksum is not the one with which it was written")

    def remove(self, object_id: ObjectId) -> None:
        """Remove the copy of an object."""
        with contextlib.suppress(FileNotFoundError):
            self._path(object_id).unlink()

    def _path(self, object_id: ObjectId) -> Path:
        assert self._directory is not None
        return self._directory / f"{object_id:x}"

    def _copy(self, source: int, start: int, target: int, offset: int, size: int) -> int:
        """Copy between descriptors, and return the checksum of what was copied."""
        digest = xxhash.xxh3_64()
        position = 0
        for piece in _pieces(source, start, size):
            digest.update(piece)
            _write_all(target, piece, offset + position)
            position += len(piece)
        return digest.intdigest()


def _pieces(source: int, start: int, size: int) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(min(PIECE, size)))
    done = 0
    while done < size:
        try:
            count = os.preadv(source, [buffer[: size - done]], start + done)
        except OSError as error:  # the disk has failed
            raise Damaged(f"its file cannot be read ({error.strerror})") from error
        if not count:
            raise Damaged(f"its file ends after {done:,} of {size:,} bytes")
        yield buffer[:count]
        done += count


def _write_all(target: int, piece: memoryview, offset: int) -> None:
    while piece:
        written = os.pwrite(target, piece, offset)
        piece, offset = piece[written:], offset + written


def _reserve(descriptor: int, size: int) -> None:
    """Make sure that there is room for the whole file before a byte of it is written."""
    disk = os.fstatvfs(descriptor)
    spare = min(MOST_SPARE, disk.f_blocks * disk.f_frsize // SPARE_SHARE)
    free = disk.f_bavail * disk.f_frsize
    if free < size + spare:
        raise OSError(errno.ENOSPC, f"the disk has {free / 2**30:.2f} GiB left, of which {spare / 2**30:.2f} GiB stay free")
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
