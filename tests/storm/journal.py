"""The journal of a notebook in a storm: what it has submitted, how that ended, and what it saw, a line of JSON each."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec


class Submitted(msgspec.Struct, frozen=True, tag=True):
    """The cluster has accepted a job."""

    number: int
    at: float


class Call(msgspec.Struct, frozen=True, tag=True):
    """That job was this call of this actor."""

    number: int
    actor: int
    call: int


class Ended(msgspec.Struct, frozen=True, tag=True):
    """A job has come out; `value` where it has a result, else the error."""

    number: int
    at: float
    outcome: str
    """ "result", "error" or "cancelled"."""
    value: int = 0
    errors: tuple[str, ...] = ()
    """The names of the error's class and its bases."""
    message: str = ""
    """With notes."""


class Changed(msgspec.Struct, frozen=True, tag=True):
    """A job that had come out came out otherwise when it was asked again."""

    number: int
    first: str
    then: str


class Again(msgspec.Struct, frozen=True, tag=True):
    """An array was looked at once more, some time after its job had come out."""

    number: int
    at: float
    seen: Ended


class Began(msgspec.Struct, frozen=True, tag=True):
    """The notebook has a cluster."""

    at: float
    epoch: str
    seconds: float
    """How long it took from when one was wanted."""


class Lost(msgspec.Struct, frozen=True, tag=True):
    """The notebook has noticed that its cluster is gone."""

    at: float
    reason: str


class Answered(msgspec.Struct, frozen=True, tag=True):
    """The first result of a cluster; `seconds` after the one before it was lost."""

    at: float
    seconds: float


class Sample(msgspec.Struct, frozen=True, tag=True):
    """One look at the cluster; `lag` is how long the scheduler process took to answer."""

    at: float
    lag: float
    used: int
    limit: int
    objects: int
    queued: int
    spilled: int = 0


class Filled(msgspec.Struct, frozen=True, tag=True):
    """The store was filled on purpose from then until now."""

    begun: float
    at: float
    refused: bool
    """Whether StoreFull came in the end."""


class Closed(msgspec.Struct, frozen=True, tag=True):
    """The notebook has given all back and ended in peace."""

    at: float
    drain_seconds: float
    """How long the rest took after the faults had stopped."""
    used: int
    """Bytes in the store after the last reference was gone."""
    objects: int
    inline: int
    spilled: int
    descriptors: int
    """More of them than before the first cluster."""
    threads: int
    left: list[str] = []
    """In words, what is still there of these."""


Entry = Submitted | Call | Ended | Changed | Again | Began | Lost | Answered | Sample | Filled | Closed


class Journal:
    """The file that a notebook writes; an entry is in it when the call returns, whatever happens to the process then."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def note(self, entry: Entry) -> None:
        """Append an entry."""
        os.write(self._file, msgspec.json.encode(entry) + b"\n")

    def close(self) -> None:
        """No entry follows."""
        os.close(self._file)


_DECODER: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Entry)


def read(text: bytes) -> list[Entry]:
    """All entries of a file; what is being written just now, without the end of its line, is not one yet."""
    return [_DECODER.decode(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]


def now() -> float:
    """The clock of all files of a storm."""
    return time.monotonic()
