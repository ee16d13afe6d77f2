"""What must run once in each worker before the first call of an executor or pool there."""

from __future__ import annotations

import concurrent.futures
import secrets
from collections.abc import Callable
from typing import Any

_done: set[str] = set()
"""The setups that have run in this process."""


class Setup:
    """An initializer with its arguments; it travels with each function that needs it, and runs where it has not run yet."""

    def __init__(self, initializer: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        if not callable(initializer):
            raise TypeError(f"initializer={initializer!r}: expected a function, to be called once in each worker")
        self.key = secrets.token_hex(8)
        self.initializer = initializer
        self.arguments = arguments

    def ensure(self) -> None:
        """Run the initializer unless this process has; BrokenExecutor where it fails."""
        if self.key in _done:
            return
        try:
            self.initializer(*self.arguments)
        except Exception as error:
            raise concurrent.futures.BrokenExecutor(f"the initializer failed: {type(error).__name__}: {error}") from error
        _done.add(self.key)


def run_after_setup(function: Callable[..., Any], setup: Setup, *args: Any, **kwargs: Any) -> Any:
    """Call the function in a worker that is set up for it."""
    setup.ensure()
    return function(*args, **kwargs)
