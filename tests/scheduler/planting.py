"""How a bug is planted: a scheduler is made, and one of its methods is replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nbray.config import ClusterConfig
from nbray.scheduler.scheduler import Scheduler
from nbray.store.allocator import Allocator

Bug = Callable[[Scheduler], None]


def replace(thing: object, name: str, other: Callable[..., Any]) -> None:
    """Put another function in the place of a method, which must be there."""
    assert callable(getattr(thing, name)), f"{thing!r} has no method {name}"
    setattr(thing, name, other)


def spoiled(bug: Bug) -> Callable[[ClusterConfig, Allocator], Scheduler]:
    """Makes schedulers with this bug."""

    def make(config: ClusterConfig, allocator: Allocator) -> Scheduler:
        scheduler = Scheduler(config, allocator)
        bug(scheduler)
        return scheduler

    return make
