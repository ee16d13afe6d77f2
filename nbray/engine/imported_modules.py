"""Which local modules a worker has imported by itself: its driver cannot know of them, and has to look for their edits, too.

    worker: after a task, if modules have come     ->  Output, stream "modules"  ->  driver: looks at their files
    driver: one has been edited when a cell begins ->  "renew"                   ->  the next tasks run in fresh workers
"""

from __future__ import annotations

import sys
import time

import msgspec

from nbray.local_modules import FileState, LocalModules, Snapshot

STREAM = "modules"
"""The stream of an Output that says so."""


class ImportedModules:
    """The modules of this worker; used on the thread that runs tasks."""

    def __init__(self) -> None:
        self._local = LocalModules()
        self._local.pass_over()
        self._count = len(sys.modules)
        self._told: Snapshot = {}

    def news(self, seconds: float) -> bytes:
        """What is to be told after a task of so many seconds, if anything; nearly always nothing, which costs no time."""
        if len(sys.modules) == self._count:
            return b""
        self._count = len(sys.modules)
        found = self._local.snapshot()
        began = time.time_ns() - int(seconds * 1e9)
        new = {name: _as_imported(state, began) for name, state in found.items() if name not in self._told}
        self._told.update(new)
        return msgspec.json.encode(new) if new else b""


def _as_imported(state: FileState, began: int) -> FileState:
    """One that was written during the task may have been imported before that: it counts as edited since."""
    return state if state.mtime_ns < began else state._replace(mtime_ns=0)


def decode(data: bytes) -> Snapshot:
    """What `ImportedModules.news` has told."""
    return msgspec.json.decode(data, type=dict[str, FileState])
