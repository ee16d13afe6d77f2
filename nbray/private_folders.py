"""Owns folders below which nbray keeps what is the user's alone: made so that nobody else enters, and looked at before use.

What is read from them may run as code. A umask that lets others write shall not matter, nor what somebody has put there first.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_AS_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def make(folder: Path) -> None:
    """Make a folder that only its owner can enter, and what is missing above it likewise.

    From one that exists others lose the right to write. Raises OSError, with the reason where it is not this user's.
    """
    missing = []
    nearest = folder
    while not os.path.lexists(nearest):
        missing.append(nearest)
        nearest = nearest.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)  # another process may have made it meanwhile
    reason = problem(folder)
    if reason:
        raise PermissionError(errno.EPERM, f"it {reason}")
    descriptor = os.open(folder, _AS_DIRECTORY)
    try:
        status = os.fstat(descriptor)
        if status.st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "somebody has put another folder in its place")
        if status.st_mode & OTHERS_MAY_WRITE:
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode) & ~OTHERS_MAY_WRITE)
    finally:
        os.close(descriptor)


def problem(folder: Path) -> str:
    """Why a folder is not this user's to keep things in; empty where it is, or does not exist yet."""
    try:
        link = folder.lstat()
        status = folder.stat() if stat.S_ISLNK(link.st_mode) else link
    except FileNotFoundError:
        return "is a link to nothing" if os.path.lexists(folder) else ""
    except OSError as error:  # somewhere above it is a file, or a folder that is closed
        return f"cannot be looked at ({error.strerror})"
    if link.st_uid != os.getuid():
        return "is a link that somebody else has made" if stat.S_ISLNK(link.st_mode) else "belongs to somebody else"
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder"
    return "is a link to a folder of somebody else" if status.st_uid != os.getuid() else ""
