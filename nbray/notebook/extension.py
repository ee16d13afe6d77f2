"""What `%load_ext nbray` does: magics and hooks into the shell. Nothing heavy is imported, and no cluster starts yet."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from nbray import session
from nbray.notebook import figures, hooks, looking
from nbray.notebook.display import KernelDisplay, TerminalDisplay

LINGER = 600.0
"""How long a notebook's cluster outlives its kernel, in seconds."""

PRELOAD = ("numpy", "nbray.notebook.remote_cell")
"""What workers need for a cell; imported once, before they are forked."""

_loaded: WeakKeyDictionary[Any, list[Callable[[], None]]] = WeakKeyDictionary()
"""For each shell what undoes the loading, in reverse order."""


def load_ipython_extension(shell: Any) -> None:
    """Give this shell `%%remote`, `%nbray`, Tab on their lines, cards and Stop; once."""
    if shell in _loaded or session.current.in_worker:  # a cell that runs remotely has %load_ext, too
        return
    from nbray.notebook.line_completion import LineCompletion
    from nbray.notebook.magics import NbrayMagics
    from nbray.notebook.parallel_magics import ParallelMagics
    from nbray.notebook.remote_magics import RemoteMagics

    kernel = getattr(shell, "kernel", None)
    session.set_defaults(linger=0.0 if kernel is None else LINGER, preload=PRELOAD)  # a terminal that ends is ended for good
    undo = [hooks.install(shell), figures.install(shell)]
    magics = NbrayMagics(shell, TerminalDisplay() if kernel is None else KernelDisplay(kernel))
    shell.register_magics(magics)
    undo.append(magics.close)
    namespace_magics = RemoteMagics(shell)
    shell.register_magics(namespace_magics)
    undo += [namespace_magics.close, looking.install(shell)]
    parallel_magics = ParallelMagics(shell, lambda: magics.background)
    shell.register_magics(parallel_magics)
    undo += [parallel_magics.close, LineCompletion(shell).close]
    if hasattr(kernel, "do_shutdown"):
        undo.append(_follow_shutdown(kernel))
    _loaded[shell] = undo


def unload_ipython_extension(shell: Any) -> None:
    """Leave the shell as it was; the cluster goes on until it is stopped or the kernel ends."""
    for step in reversed(_loaded.pop(shell, [])):
        step()


def _follow_shutdown(kernel: Any) -> Callable[[], None]:
    """A kernel that is shut down for good takes its cluster along; one that restarts finds it again, with its work."""
    original = kernel.do_shutdown

    @functools.wraps(original)
    def do_shutdown(restart: bool) -> Any:
        if restart:
            session.part()
        else:
            session.shutdown()
        return original(restart)

    kernel.do_shutdown = do_shutdown

    def undo() -> None:
        del kernel.do_shutdown
        session.stay()

    return undo
