"""Which engine an address means, and how to start it; an engine's code is imported when it is asked for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from nbray.backends.backend import Backend
from nbray.errors import NotSupportedHere, UsageError

LOCAL = "local"

SERIAL = "serial"

_ENGINES = {
    LOCAL: ("nbray.backends.local", "LocalBackend"),
    SERIAL: ("nbray.backends.serial", "SerialBackend"),
}
_LATER = {"ray": "Ray", "dask": "Dask"}


def start(address: str, settings: Mapping[str, Any]) -> Backend:
    """Start, or connect to, the engine that `address` names. Raises StartFailed."""
    module, name = _ENGINES[engine_of(address)]
    return cast(Backend, getattr(import_module(module), name).start(**settings))


def engine_of(address: str) -> str:
    """The engine's name in an address; an address that means nothing is an error that says what does."""
    engine = address.partition("://")[0]
    if engine in _LATER:
        raise NotSupportedHere(
            f"address={address!r}: clusters of {_LATER[engine]} come with a later release. "
            "nbray.init() starts nbray's own cluster on this machine."
        )
    if address not in _ENGINES:
        raise UsageError(
            f"address={address!r} means nothing to nbray: leave it out for a cluster on this machine, "
            "as in nbray.init(num_workers=4)"
        )
    if engine == LOCAL and sys.platform == "win32":
        raise NotSupportedHere(
            "nbray's own cluster needs Linux or macOS. On Windows, run the notebook inside WSL "
            "(https://learn.microsoft.com/windows/wsl)."
        )
    return engine
