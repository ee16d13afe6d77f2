"""All that is known of a storm when it is over: what the verdict is made from."""

from __future__ import annotations

import msgspec

from tests.storm.faults import Done
from tests.storm.journal import Entry
from tests.storm.ledger import Line


class Gone(msgspec.Struct, frozen=True):
    """How long it took until all that belonged to something killed had ended."""

    kind: str
    seconds: float
    left: tuple[int, ...] = ()
    """Processes that had not ended when nobody waited any longer."""


class NotebookRecord(msgspec.Struct, frozen=True):
    """One notebook, from its start until it was killed or had closed."""

    number: int
    entries: tuple[Entry, ...]
    status: int
    """Exit status; negative for the signal that ended it."""
    killed: bool
    """By the storm."""
    last_words: str = ""


class Record(msgspec.Struct, frozen=True):
    """One storm."""

    seed: int
    seconds: float
    """From the first fault to the last."""
    calm_from: float
    calm_until: float
    """Between these there was load and no fault yet."""
    lines: tuple[Line, ...]
    done: tuple[Done, ...]
    notebooks: tuple[NotebookRecord, ...]
    gone: tuple[Gone, ...]
    head_bytes: tuple[int, ...]
    """What the scheduler process had for itself, whenever it was looked at."""
    left: tuple[str, ...]
    """Processes and files that were still there at the end."""
    largest: int
    """Of all objects, in bytes."""
    real_disk: bool
    """Whether the disk that was full was one."""
