"""The notebook that is killed: its tasks hold stubborn processes, its store has spilled, and it is in the middle of something.

    python -m tests.orphans.victim MOMENT FOLDER, or main(MOMENT, FOLDER) in a kernel

It writes `report` into the folder once all that is there: the pid of the zygote and those of the processes that its tasks hold.
When it finds `go` there, it does what the moment is called, until somebody kills it.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import nbray
from nbray import session
from tests.orphans import escapes

STORE = "16MB"
SIZE = 4_000_000


def hold(names: list[str]) -> list[int]:
    """Start these processes and let them be."""
    return [getattr(escapes, name)() for name in names]


def hold_and_work(names: list[str], place: Any) -> None:
    """The same in a task that goes on and on, in C code that never lets go of the GIL."""
    nbray.get(place.add.remote(hold(names)))
    while True:
        pow(3, 30_000_000)


class Place:
    """Where running tasks say which processes they hold; an actor with one of its own."""

    def __init__(self) -> None:
        self.pids = hold(["plain", "in_a_session"])

    def add(self, pids: list[int]) -> None:
        """These are held."""
        self.pids += pids

    def all(self) -> list[int]:
        """All that were told."""
        return self.pids

    def parent(self) -> int:
        """The zygote's pid."""
        return os.getppid()


@nbray.remote
def items() -> Iterator[int]:
    """A stream without an end."""
    for number in itertools.count():
        yield number
        time.sleep(0.001)


# ------------------------------------------------------------------- moments


def idle() -> None:
    """Nothing but waiting."""
    time.sleep(600)


def get() -> None:
    """It waits for a task that takes long."""
    nbray.get(nbray.apply_async(time.sleep, (600,)))


def submit() -> None:
    """It submits, and gets, as fast as it can."""
    while True:
        nbray.get([nbray.apply_async(abs, (-1,)) for _ in range(200)])


def put() -> None:
    """It fills the store, so that objects move to the disk."""
    held: list[object] = []
    while True:
        held = [*held[-6:], nbray.put(bytes(SIZE))]


def stream() -> None:
    """It takes items of a stream as they come."""
    for ref in items.remote():
        nbray.get(ref)


def die() -> None:
    """It loses workers, so that others start."""
    while True:
        nbray.wait([nbray.apply_async(os._exit, (1,))])


def shutdown() -> None:
    """It ends its cluster."""
    nbray.shutdown()
    time.sleep(600)


MOMENTS: dict[str, Callable[[], None]] = {
    each.__name__: each for each in (idle, get, submit, put, stream, die, shutdown)
}


def refuse(*_: object) -> NoReturn:
    """There is one cluster in each round."""
    raise nbray.ClusterDied("it was killed")


def main(moment: str, folder: str) -> None:
    """Start the cluster, fill it, report, go on."""
    nbray.init(num_workers=4, memory=STORE, linger=0, preload=[])
    mock.patch.object(session.Session, "start", refuse).start()
    if moment == "start":
        nbray.get(nbray.apply_async(time.sleep, (600,)))
    place: Any = nbray.remote(Place).remote()
    names = [each.__name__ for each in escapes.ALL]
    busy = nbray.apply_async(hold_and_work, (["plain", "in_a_session"], place))
    escaped = nbray.get(nbray.apply_async(hold, (names,)))
    held = [nbray.put(bytes(SIZE)) for _ in range(6)]
    while len(pids := nbray.get(place.all.remote())) < 4:
        time.sleep(0.005)
    told = {"zygote": nbray.get(place.parent.remote()), "escaped": [*escaped, *pids]}
    report = Path(folder, "report.new")
    report.write_text(json.dumps(told))
    report.rename(Path(folder, "report"))
    while not Path(folder, "go").exists():
        time.sleep(0.002)
    MOMENTS[moment]()
    del busy, held


if __name__ == "__main__":
    main(*sys.argv[1:])
