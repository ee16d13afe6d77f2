"""What `%load_ext nbray` does: magics and hooks into the shell, nothing heavy, no cluster yet."""

from __future__ import annotations

from typing import Any

from nbray import session
from nbray.notebook import hooks

LINGER = 600.0
"""How long a notebook's cluster outlives its kernel, in seconds."""

PRELOAD = ("numpy", "nbray.notebook.remote_cell")
"""What a worker needs for its first cell; the zygote imports it once."""


def load_ipython_extension(shell: Any) -> None:
    from nbray.notebook.magics import NbrayMagics

    hooks.install(shell)
    session.set_defaults(linger=LINGER, preload=PRELOAD)
    shell.register_magics(NbrayMagics(shell, None))
