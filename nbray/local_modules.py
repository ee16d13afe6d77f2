"""Modules that lie beside the notebook: which of them were edited on disk since the workers imported them.

Workers import local modules by name and keep them, so after an edit they must be forked anew; installed packages and
the standard library do not change under a running session and are not looked at.
"""

from __future__ import annotations

import functools
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple


class FileState(NamedTuple):
    """A module's file as it was looked at."""

    path: str
    mtime_ns: int
    size: int


Snapshot = dict[str, FileState]


class LocalModules:
    """The local modules among `modules` (by default those imported here)."""

    def __init__(self, modules: Mapping[str, ModuleType] | None = None) -> None:
        self._modules = sys.modules if modules is None else modules
        self._seen: set[str] = set()
        self._local: dict[str, Path] = {}

    def snapshot(self) -> Snapshot:
        """The files of the local modules that are imported now; one `stat` for each."""
        for name in self._modules.keys() - self._seen:
            self._seen.add(name)
            path = _local_file(self._modules.get(name))
            if path is not None:
                self._local[name] = path
        return {name: state for name, path in self._local.items() if (state := _look(path))}

    def pass_over(self) -> None:
        """Those that are imported now are not looked at, ever."""
        self._seen.update(self._modules)

    def add(self, found: Snapshot) -> None:
        """Look at these too, which another process has imported; any thread."""
        self._local = {**self._local, **{name: Path(state.path) for name, state in found.items()}}

    def changed(self, since: Snapshot) -> list[str]:
        """Names of the modules whose files differ from what `since` says; one that was not there yet is not changed."""
        now = self.snapshot()
        return sorted(name for name, state in since.items() if now.get(name, state) != state)


def _local_file(module: ModuleType | None) -> Path | None:
    """The source file of a module, if that is a local one."""
    file = getattr(module, "__dict__", {}).get("__file__")  # not getattr: some modules import others on that
    if not isinstance(file, str) or not file.endswith(".py"):
        return None
    folder, _, _ = file.rpartition("/")
    if folder and is_installed(_resolved(folder)):  # nearly all: a look at each file would take 20 ms
        return None
    path = Path(file).resolve()
    return None if is_installed(path) else path


@functools.lru_cache(maxsize=1024)
def _resolved(folder: str) -> Path:
    return Path(folder).resolve() / "_"


def is_installed(path: Path) -> bool:
    """Whether a resolved path belongs to the standard library, an installed package or nbray itself."""
    return str(path).startswith(_installed())


@functools.cache
def _installed() -> tuple[str, ...]:
    """Where the standard library, installed packages and nbray itself lie."""
    folders = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders.update(entry for entry in sys.path if entry.rstrip("/").endswith(("site-packages", "dist-packages")))
    folders.add(str(Path(__file__).parent))
    return tuple(f"{Path(folder).resolve()}/" for folder in folders)


def _look(path: Path) -> FileState | None:
    try:
        status = path.stat()
    except OSError:  # deleted or being replaced: the next look tells
        return None
    return FileState(str(path), status.st_mtime_ns, status.st_size)
