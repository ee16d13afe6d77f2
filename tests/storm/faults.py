"""The plan of a storm: which fault comes when, drawn from its seed. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

Kind = Literal[
    "kill_worker", "stop_worker", "crash_worker", "terminate_worker", "kill_scheduler", "kill_supervisor", "fill_store",
    "fill_disk", "hog", "squeeze", "kill_notebook",
]  # fmt: skip

SHARES: dict[Kind, int] = {
    "kill_worker": 52, "stop_worker": 13, "crash_worker": 8, "terminate_worker": 8, "kill_scheduler": 2, "kill_supervisor": 1,
    "fill_store": 6, "fill_disk": 6, "hog": 3, "squeeze": 3, "kill_notebook": 1,
}  # fmt: skip
"""Parts of all faults."""
KILLS: Mapping[Kind, int] = {"kill_worker": 9, "terminate_worker": 15, "crash_worker": 11}
"""What ends a worker, by which signal."""
ENDS_CLUSTER = ("kill_scheduler", "kill_supervisor")
AIMED = 0.7
LONGEST_STOP = 10.0
SHORTEST_STOP = 0.1
EARLY: tuple[Kind, ...] = (
    "kill_worker", "stop_worker", "fill_disk", "crash_worker", "squeeze", "kill_worker", "terminate_worker", "fill_store", "hog",
    "kill_scheduler", "kill_worker", "kill_supervisor", "kill_notebook",
)  # fmt: skip
"""A storm of any length has each kind: it begins with these."""


class Fault(msgspec.Struct, frozen=True):
    """One fault."""

    number: int
    kind: Kind
    pause: float
    """Seconds since the one before."""
    seconds: float
    """How long it lasts, where it does."""
    draw: float
    """Which of the workers there are it hits, as a part of them."""
    aims: bool
    """At those that are busy."""


def plan(seed: int, mean_pause: float, longest: float = LONGEST_STOP) -> Iterator[Fault]:
    """The faults in their order, without end; the same for the same seed."""
    draw = random.Random(f"faults {seed}")
    number = 0
    while True:
        kind = draw.choices(list(SHARES), list(SHARES.values()))[0]
        if number % 3 == 1 and number // 3 < len(EARLY):
            kind = EARLY[number // 3]
        seconds = SHORTEST_STOP * (longest / SHORTEST_STOP) ** draw.random() if kind == "stop_worker" else draw.uniform(0.5, 2.0)
        yield Fault(number, kind, _pause(draw, mean_pause), seconds, draw.random(), draw.random() < AIMED)
        number += 1


def _pause(draw: random.Random, mean: float) -> float:
    return min(draw.expovariate(1 / mean), 5 * mean)


class Done(msgspec.Struct, frozen=True):
    """What a fault came to: a line of the log."""

    number: int
    kind: str
    at: float
    until: float = 0.0
    """When it ended, where it lasts."""
    pid: int = 0
    signal: int = 0
    notebook: int = 0
    """Which notebook's cluster it was done to, counted from 0."""
    note: str = ""
    """Why nothing was done, or what."""

    @property
    def kills(self) -> bool:
        """Whether it ended a process."""
        return bool(self.pid) and (self.kind in KILLS or self.kind in (*ENDS_CLUSTER, "kill_notebook"))
