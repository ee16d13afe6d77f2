"""The shared memory that holds large values: one anonymous sparse file, mapped once by each process that uses it.

    writer   shared map, or write(2) where the pages are fresh
    reader   private map: what a stray C write through a read-only array changes stays the reader's own

Everything that differs between systems is in this file: without memfd the file is an unlinked temporary one; where a
private map does not follow the file (macOS takes a snapshot), readers use the shared one; pages go back to the system
by MADV_REMOVE or F_PUNCHHOLE.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import struct
import sys
import tempfile
import threading
from typing import Self

from nbray.errors import StoreFull

HAS_MEMFD = hasattr(os, "memfd_create")
PRIVATE_FOLLOWS_FILE = sys.platform == "linux"
MAP_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)
"""Python names it from 3.13 on; this is its value on x86 and Arm."""
F_PUNCHHOLE = 99
FAULT_AROUND = 64 * 1024
"""A read fault maps this many aligned bytes at once, as far as their pages exist."""
TOUCH_AT_ONCE = 64 << 20


class Arena:
    """Owns the file's descriptor and this process's maps of it, made on first use; any thread.

    Views stay valid for as long as they live, also after `close`.
    """

    def __init__(self, fd: int, size: int) -> None:
        self.fd = fd
        self.size = size
        self._lock = threading.Lock()
        self._shared: mmap.mmap | None = None
        self._private: mmap.mmap | None = None
        self._whole = ctypes.c_ubyte * size

    @classmethod
    def create(cls, size: int) -> Self:
        """A new arena of `size` bytes that holds no memory yet; its descriptor is not inherited across exec."""
        return cls(open_anonymous_file("nbray-arena", size), size)

    @classmethod
    def from_fd(cls, fd: int, size: int) -> Self:
        """The arena behind a descriptor that came from another process; it belongs to this object from now on."""
        return cls(fd, size)

    def __repr__(self) -> str:
        maps = [name for name, made in (("shared", self._shared), ("private", self._private)) if made]
        return f"Arena(fd={self.fd}, size={self.size}, maps={maps})"

    def read_view(self, offset: int, size: int) -> memoryview:
        """Read-only bytes, no copy. The view's `obj` lives exactly as long as anything that is built over the view."""
        # On Python 3.11 a slice of a memoryview does not keep the sliced one alive, but the object under it:
        # each call makes one (under 2 us), for pins to watch.
        return memoryview(self._whole.from_buffer(self._for_reading())).cast("B")[offset : offset + size].toreadonly()

    def offset_of(self, address: int) -> int | None:
        """Which offset lies at this address of the process, as `read_view` maps it; None for memory elsewhere."""
        if self._private is None:
            return None
        offset = address - ctypes.addressof(self._whole.from_buffer(self._private))
        return offset if 0 <= offset < self.size else None

    def write_view(self, offset: int, size: int) -> memoryview:
        """Writable bytes, seen by every process."""
        return memoryview(self._for_writing())[offset : offset + size]

    def touch(self, offset: int, size: int) -> None:
        """Map pages that hold memory already, so that writing to them does not fault for each page.

        Shared pages that a read fault maps are writable at once, and a read fault maps sixteen of them.
        """
        for start in range(offset, offset + size, TOUCH_AT_ONCE):  # other threads get their turn in between
            bytes(self.write_view(start, min(TOUCH_AT_ONCE, offset + size - start))[::FAULT_AROUND])

    def untouch(self, offset: int, size: int) -> None:
        """Unmap pages that were touched: their memory counts as this process's no more, and their bytes stay."""
        self._for_writing().madvise(mmap.MADV_DONTNEED, offset, size)

    def pwrite(self, data: memoryview, offset: int) -> None:
        """Write without touching the map: twice as fast into fresh pages, and lets other threads run. Raises StoreFull."""
        while data:
            try:
                written = os.pwrite(self.fd, data, offset)  # at most 2 GiB a call
            except OSError as error:
                raise self._full(error, "write to", "free memory or disk space") from error
            data, offset = data[written:], offset + written

    def take_turn(self) -> bool:
        """Whether no other process is at `pwrite` just now; then `end_turn` afterwards.

        write(2) locks the file, so two processes would write in turns, at 1.7 GiB/s in all; with one of them filling fresh
        pages through its map meanwhile it is 3. The answer is a hint: threads of one process share the turn. Without memfd
        it is always yes: on a full disk a map raises SIGBUS, where write(2) has an error.
        """
        if not HAS_MEMFD:
            return True
        try:
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
        except OSError:  # it is taken: EAGAIN or EACCES, as the system likes
            return False
        return True

    def end_turn(self) -> None:
        """Let others have the turn; the end of the process does so too."""
        if HAS_MEMFD:
            fcntl.lockf(self.fd, fcntl.LOCK_UN, 1)

    def give_back(self, offset: int, size: int) -> None:
        """Return pages to the system; they read as zeros afterwards, in every process."""
        if hasattr(mmap, "MADV_REMOVE"):
            self._for_writing().madvise(mmap.MADV_REMOVE, offset, size)
        elif sys.platform == "darwin":
            _punch_hole(self.fd, offset, size)

    def forget(self, offset: int, size: int) -> None:
        """Drop what stray writes have changed in this process's private pages."""
        private = self._private
        if private is not None and private is not self._shared:
            private.madvise(mmap.MADV_DONTNEED, offset, size)

    def close(self) -> None:
        """Let go of the descriptor and of the maps, which end with their last view; may be called again."""
        with self._lock:
            fd, self.fd = self.fd, -1
            self._shared = self._private = None
        if fd >= 0:
            os.close(fd)

    def _for_writing(self) -> mmap.mmap:
        if self._shared is None:
            with self._lock:
                if self._shared is None:
                    self._shared = self._map()
        return self._shared

    def _map(self) -> mmap.mmap:
        try:
            return mmap.mmap(self.fd, self.size)
        except OSError as error:
            advice = "raise this process's address space limit (ulimit -v) or start the cluster with a smaller store"
            raise self._full(error, "map", advice) from error

    def _full(self, error: OSError, action: str, advice: str) -> Exception:
        if error.errno not in (errno.ENOMEM, errno.ENOSPC):
            return error
        return StoreFull(f"cannot {action} the store's {self.size:,} bytes of shared memory: {error.strerror}. Next: {advice}")

    def _for_reading(self) -> mmap.mmap:
        if self._private is None:
            private = _map_privately(self.fd, self.size) or self._for_writing()
            with self._lock:
                self._private = self._private or private
        return self._private


def open_anonymous_file(name: str, size: int) -> int:
    """A descriptor of so many zero bytes that hold no memory yet and have no name; it is not inherited across exec."""
    if HAS_MEMFD:
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        fd, path = tempfile.mkstemp(prefix=name)
        os.unlink(path)  # noqa: PTH108
    os.ftruncate(fd, size)
    return fd


def _map_privately(fd: int, size: int) -> mmap.mmap | None:
    if not PRIVATE_FOLLOWS_FILE:
        return None
    try:
        return mmap.mmap(fd, size, mmap.MAP_PRIVATE | MAP_NORESERVE)
    except OSError as error:
        if error.errno != errno.ENOMEM:
            raise
        return None  # vm.overcommit_memory=2 counts every private page, needed or not; the shared map costs nothing


def _punch_hole(fd: int, offset: int, size: int) -> None:
    fcntl.fcntl(fd, F_PUNCHHOLE, struct.pack("=IIqq", 0, 0, offset, size))
