"""The manifests of cell runs on disk: one file for each notebook, private, one line of JSON for each, the oldest go first.

    <user cache>/nbray/history/<hash of the notebook's name>.jsonl

A cell run has a line when it begins and another one when it has ended, which counts. A line is appended by one write, so that
several kernels of a notebook may write. Broken lines count as none.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
import xxhash

from nbray import private_folders
from nbray.notebook.manifest import Manifest
from nbray.result_cache import default_directory
from nbray.unreadable import UNREADABLE

MOST_BYTES = 2_000_000
"""Of one file; then half of it goes."""
MOST_FILES = 200
SUFFIX = ".jsonl"


class HistoryFile:
    """What is kept of one notebook."""

    def __init__(self, directory: Path, notebook: str) -> None:
        self.directory = directory
        self.path = directory / f"{xxhash.xxh3_64_hexdigest(notebook.encode())}{SUFFIX}"
        self.problem = ""
        """Why it cannot be written."""

    def append(self, manifest: Manifest) -> None:
        """Keep a manifest; where that fails, `problem` says why."""
        line = msgspec.json.encode(manifest) + b"\n"
        try:
            if not self.path.exists():
                private_folders.make(self.directory.parent)
                private_folders.make(self.directory)
                _drop_oldest(self.directory)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.write(handle, line)
                size = os.fstat(handle).st_size
            finally:
                os.close(handle)
            if size > MOST_BYTES:
                self._halve()
        except OSError as error:
            self.problem = f"{self.path} cannot be written ({error.strerror or error})"
        else:
            self.problem = ""

    def manifests(self) -> list[Manifest]:
        """What is kept, oldest first."""
        return read(self.path)

    def delete(self) -> int:
        """Forget them all; returns how many there were."""
        count = len(self.manifests())
        self.path.unlink(missing_ok=True)
        return count

    def _halve(self) -> None:
        lines = self.path.read_bytes().splitlines(keepends=True)
        handle, temporary = tempfile.mkstemp(dir=self.directory)
        with os.fdopen(handle, "wb") as file:
            file.writelines(lines[len(lines) // 2 :])
        Path(temporary).replace(self.path)


def read(path: Path) -> list[Manifest]:
    """The manifests in a file; none where there is none."""
    found: dict[str, Manifest] = {}
    with contextlib.suppress(FileNotFoundError, PermissionError):
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(*UNREADABLE):  # also one of another version
                manifest = msgspec.json.decode(line, type=Manifest)
                found[manifest.cell_run] = manifest
    return list(found.values())


def read_all(directory: Path) -> list[Manifest]:
    """Those of all notebooks, oldest first."""
    found = [manifest for path in _files(directory) for manifest in read(path)]
    return sorted(found, key=lambda manifest: manifest.began)


def directory() -> Path:
    """Where this user's are. Raises UsageError where that belongs to somebody else."""
    return default_directory().parent / "history"


def _drop_oldest(directory: Path) -> None:
    for path in list(_files(directory))[: -MOST_FILES + 1]:
        path.unlink(missing_ok=True)


def _files(directory: Path) -> Iterable[Path]:
    """The one that was written last comes last."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(directory):
            if entry.name.endswith(SUFFIX):
                with contextlib.suppress(FileNotFoundError):  # deleted by another kernel meanwhile
                    found.append((entry.stat().st_mtime_ns, Path(entry.path)))
    return [path for _, path in sorted(found)]
