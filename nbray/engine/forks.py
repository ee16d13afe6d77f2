"""What a process's connection does when user code forks the process: the child must neither speak for its parent nor wait.

`os.fork` and multiprocessing copy sockets and locks, but not the I/O thread: a lock that it held stays locked for ever, and
a message from the child would mix with the parent's. So what belongs to the parent is let go of in the child at once.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that must change in a forked child."""

    def after_fork(self) -> None:
        """Let go of what is the parent's; runs in the child, on its only thread. Locks may be held by nobody alive."""


_known: weakref.WeakSet[Forkable] = weakref.WeakSet()


def tell(thing: Forkable) -> None:
    """Call `after_fork` in every child that is forked from now on."""
    _known.add(thing)


def _tell_all() -> None:
    for thing in list(_known):
        thing.after_fork()


os.register_at_fork(after_in_child=_tell_all)
