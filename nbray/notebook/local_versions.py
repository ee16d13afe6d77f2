"""Which versions of local modules are in use: what a process has imported, and what workers that import now would get."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from nbray.local_modules import FileState, LocalModules

DIGITS = 16
EDITED = "edited while it ran"
"""Stands for the hash of a module where it cannot be told which version was imported."""


class LoadedModules:
    """Which versions this process has imported: hashes of their sources, taken when each is first seen."""

    def __init__(self, modules: Mapping[str, types.ModuleType] | None = None) -> None:
        self._modules = sys.modules if modules is None else modules
        self._local = LocalModules(modules)
        self._known: dict[str, tuple[Any, str]] = {}
        """By name: what tells one import of it from the next, and the hash."""

    def versions(self, since: float) -> dict[str, str]:
        """The local modules that are imported now; those not seen before were imported after `since`, in seconds since 1970."""
        for name, state in self._local.snapshot().items():
            spec = getattr(self._modules.get(name), "__spec__", None)
            known = self._known.get(name)
            if known is None or known[0] is not spec:
                self._known[name] = spec, EDITED if state.mtime_ns > since * 1e9 else hash_of(state.path)
        return {name: version for name, (_, version) in sorted(self._known.items()) if name in self._modules}


class ModulesOnDisk:
    """The local modules that this process has imported, as their files are now: as workers get them, which follow each edit."""

    def __init__(self, modules: Mapping[str, types.ModuleType] | None = None) -> None:
        self._local = LocalModules(modules)
        self._hashes: dict[FileState, str] = {}

    def versions(self) -> dict[str, str]:
        """Hashes of their sources; a file that is as it was is not read again."""
        now = self._local.snapshot()
        self._hashes = {state: self._hashes.get(state) or hash_of(state.path) for state in now.values()}
        return {name: self._hashes[state] for name, state in sorted(now.items())}


def hash_of(path: str) -> str:
    """The hash of a file."""
    try:
        return xxhash.xxh3_128_hexdigest(Path(path).read_bytes())[:DIGITS]
    except OSError:  # deleted meanwhile
        return EDITED
