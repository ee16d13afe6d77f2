"""The local modules that a long-lived worker has imported, and which of them were edited on disk since then."""

from __future__ import annotations

import sys
from typing import Any

from nbray.local_modules import FileState, LocalModules
from nbray.wording import count_text

SHOWN = 3


class HeldModules:
    """Local modules with the state that their files had when this process imported them; used on one thread."""

    def __init__(self) -> None:
        self._local = LocalModules()
        self._held: dict[str, tuple[FileState, Any]] = {}
        """The state of the file, and the spec that the module was executed by: a reload makes another."""
        self._told: dict[str, FileState] = {}
        self.note()

    def note(self) -> None:
        """Some code has run here: take down the modules that it has imported or loaded again."""
        for name, state in self._local.snapshot().items():
            spec = getattr(sys.modules.get(name), "__spec__", None)
            if name not in self._held or self._held[name][1] is not spec:
                self._held[name] = state, spec

    def edited(self) -> list[str]:
        """Modules whose files are not any more what was imported, each edit once."""
        now = self._local.snapshot()
        found = []
        for name, (held, _) in self._held.items():
            state = now.get(name, held)
            if state != held and self._told.get(name) != state:
                self._told[name] = state
                found.append(name)
        return sorted(found)


def old_code_text(modules: list[str], namespace: str) -> str:
    """What a namespace says before it goes on with old code."""
    shown = ", ".join(modules[:SHOWN]) + (f" and {len(modules) - SHOWN} more" if len(modules) > SHOWN else "")
    it, first = "it" if len(modules) == 1 else "them", modules[0]
    return (
        f"nbray: {count_text(len(modules), 'module')} edited since the namespace {namespace!r} has imported {it}: {shown}. "
        f"The old code runs here. import importlib; importlib.reload({first}) takes the new one, but not for what "
        f"`from {first} import` has given; %remote drop {namespace} begins anew, without its names.\n"
    )
