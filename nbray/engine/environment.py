"""Where a task's code finds modules and files: the driver's `sys.path` and working directory, as they were at the call."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import msgspec

from nbray.runtime_env import EMPTY, Profile


class Environment(msgspec.Struct, array_like=True, frozen=True):
    """What a worker makes its own before it runs a task of another environment."""

    path: list[str]
    directory: str


def capture(profile: Profile = EMPTY) -> bytes:
    """This process's environment as bytes, with what the profile changes of it; equal bytes mean equal environments."""
    if profile.working_dir:
        return _encoded(profile, profile.working_dir)
    return _encoded(profile, directory())


def directory() -> str:
    """Where this process works; empty when that was deleted under the notebook, and tasks stay where they are."""
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def _encoded(profile: Profile, place: str) -> bytes:
    first = profile.path()
    rest = [entry for entry in sys.path if entry not in first]
    return msgspec.msgpack.encode(Environment([*first, *rest], place))


def adopt(encoded: bytes) -> None:
    """Make `encoded` this process's environment; a directory that is gone raises FileNotFoundError, the task's own error."""
    environment = msgspec.msgpack.decode(encoded, type=Environment)
    if sys.path != environment.path:
        sys.path[:] = environment.path
        importlib.invalidate_caches()
    if environment.directory:
        os.chdir(environment.directory)
