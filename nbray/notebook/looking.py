"""Tab and Shift-Tab look at handles: while they do, nothing is fetched."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

HANDLES = "nbray.notebook.values"
"""Imported with the first handle, and not before."""


def install(shell: Any) -> Callable[[], None]:
    """Let completion and inspection in this shell see of a handle what is known of it; returns what undoes it."""
    completer = shell.Completer
    inspect, completions = shell.object_inspect_mime, completer.completions
    overridden = "object_inspect_mime" in vars(shell)

    def looking_completions(*args: Any, **options: Any) -> Iterator[Any]:
        with _only_looking():
            found = list(completions(*args, **options))
        yield from found

    def looking_inspect(*args: Any, **options: Any) -> Any:
        with _only_looking():
            return inspect(*args, **options)

    completer.completions, shell.object_inspect_mime = looking_completions, looking_inspect

    def undo() -> None:
        del completer.completions
        if overridden:
            shell.object_inspect_mime = inspect
        else:
            del shell.object_inspect_mime

    return undo


def _only_looking() -> AbstractContextManager[None]:
    module = sys.modules.get(HANDLES)
    return nullcontext() if module is None else module.only_looking()
