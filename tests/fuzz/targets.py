"""What is fuzzed: each target takes any bytes and says what became of them, or raises what must not be raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple

Run = Callable[[bytes], str]
"""Says "read" or "refused"."""


class Target(NamedTuple):
    """One reader of bytes."""

    name: str
    open: Callable[[Path], AbstractContextManager[Run]]
    """Ready to run, with an empty directory of its own."""
    asked: str
    """What must hold, for the table."""


@contextmanager
def opened(run: Run) -> Iterator[Run]:
    """For a target that needs no directory."""
    yield run


def plain(name: str, run: Run, asked: str) -> Target:
    """A target that is a pure function."""
    return Target(name, lambda directory: opened(run), asked)


def all_targets() -> dict[str, Target]:
    """By name."""
    from tests.fuzz import file_targets, line_targets, peers, wire_targets

    targets = [*wire_targets.TARGETS, peers.TARGET, *file_targets.TARGETS, *line_targets.TARGETS]
    return {target.name: target for target in targets}
