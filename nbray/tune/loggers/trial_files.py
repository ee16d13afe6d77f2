"""The files that a logger writes for many trials, of which only a few are open at a time."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import TextIO

OPEN = 64
"""Files that are kept open; a paused trial's is closed when others need the place."""


class TrialFiles:
    """Text files that are begun anew by this object, and then only grow."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, TextIO] = OrderedDict()
        self._begun: set[Path] = set()

    def append(self, path: Path, text: str) -> None:
        """Write at the end of a file, and flush; its directory is made if it is not there."""
        file = self._open.get(path) or self._opened(path)
        self._open.move_to_end(path)
        file.write(text)
        file.flush()

    def begin(self, path: Path, text: str) -> None:
        """Give a file a new content."""
        self.close(path)
        self._begun.discard(path)
        self.append(path, text)

    def close(self, path: Path | None = None) -> None:
        """Close one, or all; what is written to it later is appended."""
        for each in [path] if path is not None else list(self._open):
            if each in self._open:
                self._open.pop(each).close()

    def _opened(self, path: Path) -> TextIO:
        if len(self._open) >= OPEN:
            self._open.popitem(last=False)[1].close()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open[path] = path.open("a" if path in self._begun else "w", newline="")
        self._begun.add(path)
        return self._open[path]
