"""Which magics belong to the notebook and make no sense in a cell that runs on a worker, and what is said there instead."""

from __future__ import annotations

import functools
from typing import Any, NoReturn

from IPython.core.error import UsageError

CELL_OF_ITS_OWN = "give it a cell of its own"

LINE_MAGICS: dict[str, str] = {
    **dict.fromkeys(("nbray", "remote"), CELL_OF_ITS_OWN),
    **dict.fromkeys(
        ("debug", "pdb"),
        "after a remote cell has failed, %debug in a cell of its own opens pdb in its frames; breakpoint() stops a running one",
    ),
    **dict.fromkeys(
        ("hist", "history", "macro", "notebook", "pastebin", "recall", "rep", "rerun", "save"),
        f"the history is there; {CELL_OF_ITS_OWN}",
    ),
    **dict.fromkeys(("logoff", "logon", "logstart", "logstate", "logstop"), f"the history is there; {CELL_OF_ITS_OWN}"),
    **dict.fromkeys(("ed", "edit", "load", "loadpy"), f"it changes the cells on the page; {CELL_OF_ITS_OWN}"),
    **dict.fromkeys(("autosave", "clear", "connect_info", "qtconsole", "store", "subshell"), CELL_OF_ITS_OWN),
}
"""Line magics, and what to do instead."""

CELL_MAGICS: dict[str, str] = {
    "remote": "functions made by @nbray.remote, and nbray.map, submit more work from there",
    "parallel": "nbray.map(function, items) does the same from there",
    "local": CELL_OF_ITS_OWN,
    "debug": "breakpoint() stops a running cell",
}


def forbid(shell: Any) -> None:
    """Let a worker's shell refuse them."""
    for kind, magics in (("line", LINE_MAGICS), ("cell", CELL_MAGICS)):
        for name, advice in magics.items():
            shell.register_magic_function(functools.partial(_refuse, kind, name, advice), kind, name)


def _refuse(kind: str, name: str, advice: str, *_: str) -> NoReturn:
    sign = "%" if kind == "line" else "%%"
    raise UsageError(f"{sign}{name} belongs to the notebook, and this cell runs on a worker: {advice}")
