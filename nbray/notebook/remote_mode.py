"""Remote mode: while it is on, IPython gets each cell rewritten so that it runs in a namespace on the cluster.

Rewriting happens where IPython transforms the source of a cell that begins. The history keeps what was typed.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from nbray.notebook.cell_runs import RUNS
from nbray.notebook.notebook_only import LINE_MAGICS

MAIN = "main"
"""The namespace of remote mode, where none is named."""
CELL_MAGIC = "nbray_remote_mode"
"""What a rewritten cell calls; nobody types it."""

HERE = frozenset({"%load_ext", "%reload_ext", "%unload_ext", *(f"%{name}" for name in LINE_MAGICS)})
"""A cell of nothing but these concerns the notebook, and runs here."""
LOCAL = "%%local"
_OWN_CELLS = ("%%remote", "%%parallel", LOCAL)
"""Cells that know themselves where they run."""


class RemoteMode:
    """Whether the cells of a shell run remotely, and in which namespace; used on the thread that runs cells."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self.namespace: str | None = None
        """Where cells run; None: here."""
        self._transform = _without_check(self.rewrite)
        shell.input_transformers_cleanup.insert(0, self._transform)

    def close(self) -> None:
        """Leave the shell as it was."""
        self._shell.input_transformers_cleanup.remove(self._transform)

    def rewrite(self, lines: list[str]) -> list[str]:
        """See IPython's input transformers: lines of a cell, with their ends, to be run instead of these."""
        if _first_word(lines) == [LOCAL]:
            return local_lines(lines)
        if self.namespace is None or not self._begins_cell() or runs_here(lines):
            return lines
        return [f"get_ipython().run_cell_magic({CELL_MAGIC!r}, {self.namespace!r}, {''.join(lines)!r})\n"]

    def _begins_cell(self) -> bool:
        """Not what a magic of the running cell has transformed, nor what a frontend runs without showing it."""
        running = RUNS.of_thread(threading.get_ident())
        parent = self._shell.get_parent() if getattr(self._shell, "kernel", None) is not None else {}
        request = parent.get("header", {}).get("msg_id") if parent else None
        is_silent = bool(parent and parent.get("content", {}).get("silent"))
        return not is_silent and (running is None or (request is not None and running.id != request))


def _without_check(transform: Any) -> Any:
    """A transformer that IPython leaves out where it only asks whether a cell is complete."""

    def rewrite(lines: list[str]) -> list[str]:
        return transform(lines)  # type: ignore[no-any-return]

    rewrite.has_side_effects = True  # type: ignore[attr-defined]
    return rewrite


def runs_here(lines: Sequence[str]) -> bool:
    """Whether a cell concerns the notebook itself.

    >>> runs_here(["%nbray status\\n"]), runs_here(["%nbray status\\n", "x = 1\\n"]), runs_here(["%%remote --bg\\n", "f()\\n"])
    (True, False, True)
    """
    code = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not code or code[0].split()[0] in _OWN_CELLS:
        return True
    return all(line.split()[0].rstrip("?") in HERE for line in code)


def local_lines(lines: list[str]) -> list[str]:
    """The lines of a cell without the line `%%local`; the others keep their numbers where that is possible.

    >>> local_lines(["%%local\\n", "x = 1\\n"]), local_lines(["%%local\\n", "%%time\\n", "f()\\n"])
    (['# %%local\\n', 'x = 1\\n'], ['%%time\\n', 'f()\\n'])
    """
    position = next(index for index, line in enumerate(lines) if line.strip())
    rest = lines[position + 1 :]
    return rest if rest and rest[0].startswith("%%") else [*lines[:position], f"# {LOCAL}\n", *rest]


def _first_word(lines: Sequence[str]) -> list[str]:
    """All words of the first line that is not blank."""
    return next((line.split() for line in lines if line.strip()), [])
