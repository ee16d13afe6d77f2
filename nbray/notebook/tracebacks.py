"""Owns what of nbray's own code a traceback in the notebook shows: nothing, unless nbray has a bug.

A failed task, a wrong call or a Stop is about the user's code; the path through nbray's waiting and receiving would bury
the one line that matters. What is shown: the frames of the cell, then the remote traceback that came with the error.
"""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any

from nbray.errors import InternalError, NbrayError, RemoteTraceback

_OURS = str(Path(__file__).parents[1]) + os.sep
_HANDLES = str(Path(__file__).with_name("values.py"))
_STDLIB = sysconfig.get_path("stdlib")

HANDLE = "RemoteValue"
ABOUT_HANDLES = "A RemoteValue is a handle of a value on the cluster, and this code wants the value itself: x.get() gives it."

Uninstall = Callable[[], None]


def install(shell: Any) -> Uninstall:
    """Shorten the tracebacks that this IPython shell shows; returns what undoes it."""
    show = shell.showtraceback

    def show_shortened(exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1]
        if isinstance(error, BaseException) and (is_about_user_code(error) or _comes_through_handle(error)):
            error.__traceback__ = user_frames(error.__traceback__)
        if isinstance(error, TypeError) and HANDLE in str(error) and ABOUT_HANDLES not in getattr(error, "__notes__", ()):
            error.add_note(ABOUT_HANDLES)
        show(exc_tuple, *args, **options)

    shell.showtraceback = show_shortened

    def uninstall() -> None:
        if shell.showtraceback is show_shortened:
            shell.showtraceback = show

    return uninstall


def is_about_user_code(error: BaseException) -> bool:
    """Is nbray's own code no part of the reason? Of a bug in nbray every frame is shown."""
    if isinstance(error, (NbrayError, KeyboardInterrupt, asyncio.CancelledError)):
        return not isinstance(error, InternalError)
    return isinstance(error.__cause__, RemoteTraceback)


def _comes_through_handle(error: BaseException) -> bool:
    """Is a handle all of nbray that stands between the cell and what its value raised?"""
    files = [frame.f_code.co_filename for frame, _ in walk_tb(error.__traceback__)]
    return {file for file in files if file.startswith(_OURS)} == {_HANDLES}


def user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without nbray's frames, and without those of the standard library that they called."""
    frames = []
    inside = False
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        ours = file.startswith(_OURS)
        inside = inside or ours
        if not ours and not (inside and _is_stdlib(file)):
            frames.append(traceback)
        traceback = traceback.tb_next
    shown: TracebackType | None = None
    for kept in reversed(frames):
        shown = TracebackType(shown, kept.tb_frame, kept.tb_lasti, kept.tb_lineno)
    return shown


def _is_stdlib(file: str) -> bool:
    return file.startswith(("<frozen", _STDLIB)) and "site-packages" not in file
