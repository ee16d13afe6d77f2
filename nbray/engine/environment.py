"""Where a task's code finds modules and files: the driver's `sys.path` and working directory, as they were at the call."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import msgspec


class Environment(msgspec.Struct, array_like=True, frozen=True):
    """What a worker makes its own before it runs a task of another environment."""

    path: list[str]
    directory: str


def capture() -> bytes:
    """This process's environment as bytes; equal bytes mean equal environments."""
    try:
        directory = str(Path.cwd())
    except FileNotFoundError:  # the directory was deleted under the notebook: tasks stay where they are
        directory = ""
    return msgspec.msgpack.encode(Environment(list(sys.path), directory))


def adopt(encoded: bytes) -> None:
    """Make `encoded` this process's environment; a directory that is gone raises FileNotFoundError, the task's own error."""
    environment = msgspec.msgpack.decode(encoded, type=Environment)
    if sys.path != environment.path:
        sys.path[:] = environment.path
        importlib.invalidate_caches()
    if environment.directory:
        os.chdir(environment.directory)
