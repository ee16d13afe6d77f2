"""How the failure of a `%%remote` cell looks in the notebook: the remote traceback once, then which task and worker."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from nbray import dual_errors, frame_snapshots
from nbray.errors import InfeasibleRequest, QuitAtBreakpoint, RemoteTraceback, TaskTimeout, WorkerDied
from nbray.notebook.remote_cell import TRACEBACK_ATTRIBUTE

_FRAME = re.compile(r"File ((?:\x1b\[[\d;]*m)*)([^\s\x1b:]+):(\d+)")
_NO_NAME = re.compile(r"name '(\w+)' is not defined")
_RED, _PLAIN = "\x1b[31m", "\x1b[39m"

READ_ONLY = "Arrays that a cell takes along are shared, and so read-only: x = x.copy() makes one to be changed."

_IN_A_CELL: dict[type[BaseException], str] = {
    TaskTimeout: "For a remote cell: %%remote --timeout SECONDS",
    WorkerDied: "For a remote cell: %%remote --retries N",
    InfeasibleRequest: "For a remote cell: %%remote --cpus N --gpus N --memory SIZE, each with what the cluster has",
}
"""What to type, where the message speaks of a function's options."""


def presentable(shell: Any, error: BaseException) -> BaseException:
    """What to raise so that IPython shows an error of a remote cell as it was, without the frames of nbray.

    That is the exception that the cell raised; only for a SyntaxError and for a group of exceptions, which IPython always
    shows with all frames, another of that name stands in.
    """
    error = dual_errors.original(error)
    lines = rendered(shell, error)
    if isinstance(error, (SyntaxError, BaseExceptionGroup)):
        local = isinstance(error, SyntaxError) and getattr(error, TRACEBACK_ATTRIBUTE, None) is None
        lines = shell.SyntaxTB.structured_traceback(type(error), error, []) if local else lines
        # No context: IPython looks there for groups too.
        frames = getattr(error, frame_snapshots.ATTRIBUTE, "")
        error = type(type(error).__name__, (Exception,), {"__context__": None, frame_snapshots.ATTRIBUTE: frames})(str(error))
    # `copy` of the list, since a bound method of a list can be pickled and a function made here could not.
    BaseException.__setattr__(error, "_render_traceback_", lines.copy)
    return error


def rendered(shell: Any, error: BaseException) -> list[str]:
    """The traceback of a failed cell, line by line, with ANSI colours."""
    lines = [*(_with_cells(shell, line) for line in _lines(error)), *(str(note) for note in getattr(error, "__notes__", ()))]
    if isinstance(error, ValueError) and "read-only" in str(error):
        lines.append(READ_ONLY)
    if isinstance(error, NameError) and (hint := about_name(str(error), shell.user_ns)):
        lines.append(hint)
    return lines


def about_name(message: str, namespace: Mapping[str, Any]) -> str:
    """What the notebook knows of a name that a cell did not find; "" for nothing.

    >>> about_name("name 'datta' is not defined", {"data": 1})
    'Did you mean data?'
    >>> about_name("name 'data' is not defined", {"data": 1})
    'The notebook has data, but it did not go along: the code of the cell does not name it, or -i leaves it out.'
    """
    found = _NO_NAME.match(message)
    if found is None:
        return ""
    if found[1] in namespace:
        why = "the code of the cell does not name it, or -i leaves it out"
        return f"The notebook has {found[1]}, but it did not go along: {why}."
    near = difflib.get_close_matches(found[1], [name for name in namespace if not name.startswith("_")], 1)
    return f"Did you mean {near[0]}?" if near else ""


def error_content(shell: Any, error: BaseException) -> dict[str, Any]:
    """An exception as a Jupyter "error" message."""
    error = dual_errors.original(error)
    return {"ename": type(error).__name__, "evalue": str(error), "traceback": rendered(shell, error)}


def _lines(error: BaseException) -> list[str]:
    remote = getattr(error, TRACEBACK_ATTRIBUTE, None)
    if isinstance(remote, list) and remote:
        return [str(line) for line in remote]
    cause = error.__cause__
    if isinstance(cause, RemoteTraceback) and not isinstance(error, QuitAtBreakpoint):
        return cause.text.splitlines()
    message = str(error)
    hint = _IN_A_CELL.get(type(error))
    return [f"{_RED}{type(error).__name__}{_PLAIN}" + (f": {message}" if message else ""), *([hint] if hint else [])]


def _with_cells(shell: Any, line: str) -> str:
    """ "Cell In[4], line 2" for functions that stand in other cells of this notebook, which a worker cannot number."""

    def label(frame: re.Match[str]) -> str:
        colors, file, number = frame.groups()
        name = shell.compile.format_code_name(file)
        return frame[0] if name is None else f"{name[0]} {colors}{name[1]}, line {number}"

    return _FRAME.sub(label, line)
