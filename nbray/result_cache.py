"""Results of calls on disk, by fingerprint: private, checked when they are read, the least recently used go first.

    <user cache>/nbray/results/     0700
        <fingerprint>.result        0600: "nbc1", length of the head | the head as JSON | the frame of the value

Any process may write; a file is complete from the moment it has its name.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import xxhash

from nbray import private_folders, serialization
from nbray.errors import NbrayError, UsageError
from nbray.machine import home
from nbray.unreadable import UNREADABLE

LIMIT = 4_000_000_000
"""Bytes that the results may take together."""

MOST_HEAD = 1 << 20
"""Bytes of a head; a damaged one can claim any length."""

_SUFFIX = ".result"
_START = struct.Struct("<4sI")
_MAGIC = b"nbc1"
_BY_VALUE = (b"nbray.by_value", b"cloudpickle", b"dill._dill")
"""Modules that a pickle names when it carries classes or functions of a notebook."""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a kept result."""

    key: str
    name: str
    """The function's, or the cell's."""
    made: float
    """Seconds since 1970."""
    took: float
    """Seconds that the call ran."""
    size: int
    """Bytes of the frame."""
    checksum: str = ""
    names: tuple[str, ...] = ()
    """Globals and closed-over variables that were tracked."""
    modules: tuple[str, ...] = ()


class Kept(NamedTuple):
    """A result that was found."""

    value: Any
    head: Head


class ResultCache:
    """The results in one directory, which is made when the first is kept."""

    def __init__(self, directory: Path, limit: int = LIMIT) -> None:
        self.directory = directory
        self.limit = limit

    def find(self, key: str) -> Kept | None:
        """The result of that fingerprint; one that is damaged, or cannot be rebuilt here, counts as none."""
        path = self._path(key)
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_uid != os.getuid():
                    return None
                data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError):  # there is none; an empty file cannot be mapped
            return None
        try:
            head, frame = _split(data)
            if head.key != key or len(frame) != head.size or xxhash.xxh3_128_hexdigest(frame) != head.checksum:
                return None
            value = serialization.loads(frame)
        except (NbrayError, struct.error, *UNREADABLE):
            return None
        with contextlib.suppress(OSError):  # it has just been dropped by another process
            os.utime(path)
        return Kept(value, head)

    def keep(self, key: str, value: Any, head: Head) -> str:
        """Write a result, and drop old ones for which there is no room; returns why it is not kept, or "".

        Raises NotShippable.
        """
        payload = serialization.dumps(value, head.name)
        if payload.nested:
            return "it holds an ObjectRef, which ends with its cluster"
        if any(name in payload.stream for name in _BY_VALUE):
            return "it holds a class or function that was defined in a notebook"
        frame = serialization.encode(payload)
        if len(frame) > self.limit // 2:
            return f"its {len(frame):,} bytes are more than half of what the cache may take"
        head = msgspec.structs.replace(head, key=key, size=len(frame), checksum=xxhash.xxh3_128_hexdigest(frame))
        text = msgspec.json.encode(head)
        try:
            self._write(key, _START.pack(_MAGIC, len(text)) + text, frame)
            self._make_room()
        except OSError as error:
            return f"{self.directory} cannot be written ({error.strerror or error})"
        return ""

    def heads(self) -> list[Head]:
        """What there is, the most recently used first."""
        found = []
        for _, path, _ in sorted(self._files(), reverse=True):
            with contextlib.suppress(OSError, struct.error, ValueError, *UNREADABLE), path.open("rb") as file:
                _, length = _START.unpack(file.read(_START.size))
                if length > MOST_HEAD:
                    continue
                found.append(msgspec.json.decode(file.read(length), type=Head))
        return found

    def clear(self, name: str = "") -> int:
        """Delete all results, or those of that name; returns how many."""
        keys = {head.key for head in self.heads() if head.name == name}
        gone = [path for _, path, _ in self._files() if not name or path.stem in keys]
        for path in gone:
            path.unlink(missing_ok=True)
        return len(gone)

    def size(self) -> int:
        """Bytes on disk."""
        return sum(size for _, _, size in self._files())

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}{_SUFFIX}"

    def _files(self) -> list[tuple[int, Path, int]]:
        """When each was last used, its path, its size."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(self.directory):
                if entry.name.endswith(_SUFFIX):
                    with contextlib.suppress(FileNotFoundError):  # dropped by another process meanwhile
                        status = entry.stat()
                        found.append((status.st_mtime_ns, Path(entry.path), status.st_size))
        return found

    def _write(self, key: str, start: bytes, frame: bytes) -> None:
        private_folders.make(self.directory.parent)
        private_folders.make(self.directory)
        handle, temporary = tempfile.mkstemp(dir=self.directory)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(start)
                file.write(frame)
            Path(temporary).replace(self._path(key))
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _make_room(self) -> None:
        files = sorted(self._files())
        total = sum(size for _, _, size in files)
        for _, path, size in files:
            if total <= self.limit:
                return
            path.unlink(missing_ok=True)
            total -= size


def new_head(name: str, took: float, names: tuple[str, ...], modules: tuple[str, ...]) -> Head:
    """The head of a result that has just come."""
    return Head(key="", name=name, made=time.time(), took=took, size=0, names=names, modules=modules)


def default_directory() -> Path:
    """Where this user's results are kept. Raises UsageError where that belongs to somebody else."""
    if sys.platform == "darwin":
        folder = home() / "Library" / "Caches"
    else:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or home() / ".cache")
    directory = folder / "nbray" / "results"
    for each in (directory.parent, directory):
        reason = private_folders.problem(each)
        if reason:
            raise UsageError(
                f"{each} {reason}, and reading what others keep there would run their code: remove it, or point "
                "XDG_CACHE_HOME to a directory of your own"
            )
    return directory


def _split(data: memoryview) -> tuple[Head, memoryview]:
    magic, length = _START.unpack_from(data)
    if magic != _MAGIC:
        raise struct.error("not a kept result")
    end = _START.size + length
    return msgspec.json.decode(data[_START.size : end], type=Head), data[end:]
