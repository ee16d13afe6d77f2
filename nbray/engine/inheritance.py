"""What the zygote passes on to the processes that it starts: what they share, and how it is named when one is exec'd."""

from __future__ import annotations

import socket
from typing import NamedTuple

from nbray.config import ClusterConfig
from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.store.arena import Arena


class Inheritance(NamedTuple):
    """What a forked process gets from the zygote."""

    config: ClusterConfig
    words: Words
    unsent: Unsent
    arena: Arena
    death_pipe: int
    """Read end: end of file means that the zygote is gone."""
    listener: socket.socket | None = None
    """For the scheduler process only."""
    zygote: socket.socket | None = None
    """The scheduler process's end of the socket pair; workers close it."""
    profile: bytes = b""
    """The profile of a worker that has one (`nbray.runtime_env`)."""
