"""Forked children are told; the parent is not."""

from __future__ import annotations

import gc
import os

import pytest

from nbray.engine import forks

pytestmark = pytest.mark.local


class Thing:
    def __init__(self) -> None:
        self.forked_in = 0

    def after_fork(self) -> None:
        self.forked_in = os.getpid()


def run_in_child(check: object) -> int:
    pid = os.fork()
    if not pid:
        os._exit(0 if check() else 1)  # type: ignore[operator]
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_children_are_told() -> None:
    thing = Thing()
    forks.tell(thing)
    assert run_in_child(lambda: thing.forked_in == os.getpid()) == 0
    assert thing.forked_in == 0


def test_nothing_is_kept_alive() -> None:
    forks.tell(Thing())
    gc.collect()
    assert not any(isinstance(thing, Thing) for thing in forks._known)
