"""A recording: what happened to a scheduler and what it answered, in a file from which both can be replayed.

Nothing is recorded unless the environment variable NBRAY_RECORDING names a directory, as tests of the scheduler do: the file
holds everything that travels through the scheduler, so it is for its owner's eyes only.

    one record: 4 bytes of length, MessagePack    the first one: Head    all others: (now, name of the event, event, actions)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from nbray.config import ClusterConfig
from nbray.scheduler.actions import Action
from nbray.scheduler.events import Event
from nbray.scheduler.scheduler import Scheduler
from nbray.store.allocator import Allocator

VARIABLE = "NBRAY_RECORDING"
SUFFIX = ".recording"
_LENGTH = 4

encode = msgspec.msgpack.encode


class Head(NamedTuple):
    """What the scheduler was made with."""

    config: ClusterConfig
    arena_size: int


class Record(NamedTuple):
    """One event, and the actions that it led to, both as they were encoded."""

    now: float
    kind: str
    event: bytes
    actions: bytes


class RecordedScheduler(Scheduler):
    """A scheduler that writes down each event before it handles it, and its answer with it afterwards."""

    def __init__(self, config: ClusterConfig, arena_size: int, directory: str) -> None:
        super().__init__(config, Allocator(config.store_limit, arena_size))
        path = Path(directory) / f"{config.epoch}{SUFFIX}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._write(Head(config, arena_size))

    def handle(self, event: Event, now: float) -> list[Action]:
        """What must be done about the event."""
        happened = encode(event)  # at once: the scheduler makes messages its own
        actions = super().handle(event, now)
        self._write(Record(now, type(event).__name__, happened, encode(actions)))
        return actions

    def _write(self, record: Head | Record) -> None:
        """Unbuffered, since this process ends by SIGKILL."""
        data = encode(record)
        data = len(data).to_bytes(_LENGTH, "big") + data
        while data:
            data = data[os.write(self._descriptor, data) :]


def make_scheduler(config: ClusterConfig, arena_size: int) -> Scheduler:
    """The scheduler of a cluster, recorded if that is asked for."""
    directory = os.environ.get(VARIABLE)
    if directory:
        return RecordedScheduler(config, arena_size, directory)
    return Scheduler(config, Allocator(config.store_limit, arena_size))


def read(path: Path) -> tuple[Head, Iterator[Record]]:
    """A recording; what was being written when its process was killed is left out."""
    parts = _split(path.read_bytes())
    head = msgspec.msgpack.decode(next(parts), type=Head)
    return head, (msgspec.msgpack.decode(part, type=Record) for part in parts)


def _split(data: bytes) -> Iterator[bytes]:
    start = 0
    while start + _LENGTH <= len(data):
        end = start + _LENGTH + int.from_bytes(data[start : start + _LENGTH], "big")
        if end > len(data):
            return
        yield data[start + _LENGTH : end]
        start = end
