"""What it looks like when a process may open no more files, which passes: nobody shall die of it."""

from __future__ import annotations

import errno

_NO_MORE = (errno.EMFILE, errno.ENFILE)
"""Of this process, of the whole system."""


def are_short(error: OSError) -> bool:
    """Whether there was no descriptor left for a file, and nothing is wrong with the file itself.

    >>> are_short(OSError(errno.EMFILE, "Too many open files")), are_short(FileNotFoundError(errno.ENOENT, "No such file"))
    (True, False)
    """
    return error.errno in _NO_MORE
