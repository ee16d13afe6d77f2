"""Owns post-mortems: `%debug` and `%nbray debug` open pdb in the frames of a remote failure, rebuilt from what was kept.

The frames are real ones of this process: for each, code of the same file, name and line is run in the variables that were
kept, and raises there. So pdb, `up`, `list`, `where` and `p` work as ever, and nothing of the worker is needed any more.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from nbray.errors import RemoteTraceback
from nbray.notebook.tracebacks import user_frames
from nbray.sealed import Broken

if TYPE_CHECKING:
    from nbray.frame_snapshots import Frame, Header, Snapshot

ATTRIBUTE = "nbray_frames"
"""`nbray.frame_snapshots.ATTRIBUTE`, which is imported only when it is needed."""

_HERE = "_nbray_failed_here_"
_MOST_INNER = 20
"""So deep tasks that passed on the failure of another are followed."""

Uninstall = Callable[[], None]


class _Here(Exception):
    """Raised to have a frame."""


def install(shell: Any) -> Uninstall:
    """Let `%debug` of this shell open the frames of remote failures; returns what undoes it."""
    original = shell.debugger

    def debugger(force: bool = False) -> None:
        error = getattr(sys, "last_value", None)
        if (force or shell.call_pdb) and isinstance(error, BaseException) and _is_remote(error):
            debug_error(shell, error)
        else:
            original(force)

    shell.debugger = debugger

    def uninstall() -> None:
        if shell.__dict__.get("debugger") is debugger:
            del shell.debugger

    return uninstall


def _is_remote(error: BaseException) -> bool:
    """Whether it came from a task with its frames, or is all that a remote cell left, so that pdb would see only IPython."""
    return bool(getattr(error, ATTRIBUTE, "")) or hasattr(error, "_render_traceback_")


def debug_error(shell: Any, error: BaseException) -> None:
    """Open pdb in the frames that led to this error: those of the notebook, then those on the worker."""
    path = getattr(error, ATTRIBUTE, "")
    if not path:
        cause = error.__cause__
        reason = "it was raised before any of the cell's code ran" if isinstance(cause, RemoteTraceback) else str(error)
        raise UsageError(f"%debug: there are no frames of this {type(error).__name__}: {reason}")
    header, snapshot = read(Path(path))
    local = None if hasattr(error, "_render_traceback_") else _without_shell(user_frames(error.__traceback__))
    _open(shell, joined([*_links(local), *_links(rebuilt(snapshot))]), header)


def debug_task(shell: Any, wanted: str, directory: Path) -> None:
    """Open pdb in the frames of the latest failure of a task, by its id or its name; of the latest one for ""."""
    failures = _headers(directory)
    if not failures:
        raise UsageError("%nbray debug: no task of this notebook's cells has failed with an exception since the cluster began")
    found = [(header, path) for header, path in failures if not wanted or wanted in _names(header)]
    if not found:
        shown = "\n".join(f"  {line(header)}" for header, _ in failures[:10])
        raise UsageError(
            f"%nbray debug {wanted}: no failure of such a task is kept; name a task or its id. The latest ones are\n{shown}"
        )
    header, snapshot = read(found[0][1])
    _open(shell, rebuilt(snapshot), header)


def _names(header: Header) -> tuple[str, ...]:
    about = header.about
    label = about.task.removeprefix("cell ")
    return f"{about.task_id:016x}", f"{about.task_id:x}", about.task, label, label.strip("[]")


def line(header: Header) -> str:
    """One failure in a list: id, task, where, what."""
    about = header.about
    return f"{about.task_id:016x}  {about.task}, attempt {about.attempt}, {about.worker}: {header.error}"


def _headers(directory: Path) -> list[tuple[Header, Path]]:
    from nbray import frame_snapshots

    return frame_snapshots.headers(directory)


def read(path: Path) -> tuple[Header, Snapshot]:
    """The failure that a file holds. Raises UsageError when it is gone."""
    from nbray import frame_snapshots

    try:
        return frame_snapshots.read(path)
    except FileNotFoundError:
        raise UsageError(
            "the frames of this failure are gone: they go with their cluster, which keeps those of its last "
            f"{frame_snapshots.MAX_FILES} failures. Run the cell again, then %debug"
        ) from None
    except Broken as error:
        raise UsageError(f"the frames of this failure are damaged: {error} ({path}). Run the cell again, then %debug") from None


def _open(shell: Any, traceback: TracebackType, header: Header) -> None:
    from IPython.core.display_trap import DisplayTrap

    about = header.about
    print(  # noqa: T201
        f"nbray: task {about.task} as it failed on {about.worker}, attempt {about.attempt}. "
        "Its variables are copies; the worker is free."
    )
    debugger = shell.InteractiveTB.debugger_cls()
    with DisplayTrap(hook=sys.__displayhook__):
        debugger.reset()
        debugger.interaction(None, traceback)


# -------------------------------------------------------------------- frames


def rebuilt(snapshot: Snapshot) -> TracebackType:
    """A traceback through frames like those that were kept, and through those of the task whose failure was passed on."""
    links = _links(_frames(snapshot))
    for _ in range(_MOST_INNER):
        if not snapshot.inner or not Path(snapshot.inner).exists():
            break
        _, snapshot = read(Path(snapshot.inner))
        links += _links(_frames(snapshot))
    return joined(links)


def _frames(snapshot: Snapshot) -> TracebackType:
    from nbray import frame_snapshots

    values = [frame_snapshots.load(variable) for variable in snapshot.variables]
    spaces = [
        {"__name__": space.module, **{name: values[at] for name, at in space.names.items()}} for space in snapshot.spaces
    ]  # fmt: skip
    links = []
    for frame in snapshot.frames:
        names = spaces[frame.space] if frame.names is None else {name: values[at] for name, at in frame.names.items()}
        links.append(_raised(_code(frame), spaces[frame.space], names))
    return joined(links)


def _code(frame: Frame) -> CodeType:
    """Code that raises in the line of the frame; its lines are counted from the first one of the function."""
    source = "\n" * max(0, frame.line - frame.first_line) + f"{_HERE}()"
    code = compile(source, frame.file, "exec", dont_inherit=True)
    first = min(frame.first_line, frame.line) or 1
    return code.replace(co_name=frame.function, co_qualname=frame.qualified, co_firstlineno=first)


def _raised(code: CodeType, everything: dict[str, Any], names: dict[str, Any]) -> TracebackType:
    """The traceback of code that was run in these globals and locals."""

    def here() -> None:
        raise _Here

    names[_HERE] = here
    try:
        exec(code, everything, names)
    except _Here as raised:
        links = _links(raised.__traceback__)
    finally:
        del names[_HERE]
    return joined(links[1:2])  # behind this function, before `here`


def _links(traceback: TracebackType | None) -> list[TracebackType]:
    links = []
    while traceback is not None:
        links.append(traceback)
        traceback = traceback.tb_next
    return links


def joined(links: Sequence[TracebackType]) -> TracebackType:
    """One traceback through all these frames, the outermost first."""
    whole: TracebackType | None = None
    for link in reversed(links):
        whole = TracebackType(whole, link.tb_frame, link.tb_lasti, link.tb_lineno)
    assert whole is not None, "there are no frames"
    return whole


def _without_shell(traceback: TracebackType | None) -> TracebackType | None:
    """Without the frames of IPython, which runs the cell."""
    import IPython

    shells = str(Path(IPython.__file__).parent) + os.sep
    links = [link for link in _links(traceback) if not link.tb_frame.f_code.co_filename.startswith(shells)]
    return joined(links) if links else None
