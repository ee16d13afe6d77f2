"""Imported by every Python of a storm that has no disk of its own: a disk that is full while a file exists."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_flag = os.environ.get("NBRAY_STORM_NO_ROOM", "")
_reserve = os.posix_fallocate


def _reserve_or_refuse(descriptor: int, offset: int, size: int) -> None:
    if "/spill-" in str(Path(f"/proc/self/fd/{descriptor}").readlink()) and Path(_flag).exists():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _reserve(descriptor, offset, size)


if _flag:
    os.posix_fallocate = _reserve_or_refuse
