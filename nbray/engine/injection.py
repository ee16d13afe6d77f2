"""Faults that a driver asks for (`nbray.chaos`), carried out in the scheduler process: to its own workers, to its own disk.

    driver ── Ask("inject", text) ──> scheduler process ── SignalWorker ──> zygote, the parent of the worker
                                             └──────────── Trouble ───────> the threads that wait for the disk

Nothing here searches for processes: a worker is named by its slot and its pid, and its own parent sends the signal, so that
a pid which the system has given to another process meanwhile is never meant. All that a driver has asked for ends with it.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from typing import Annotated, NamedTuple, Protocol

import msgspec

from nbray.ids import ProcessId
from nbray.store.spill_files import Damaged

NEVER = float("inf")


class Strike(msgspec.Struct, frozen=True, tag="strike"):
    """A signal to one worker, if it is still this process; one that is stopped for some `seconds` goes on after them."""

    slot: int
    pid: int
    number: int
    seconds: float = 0.0


class TroubleDisk(msgspec.Struct, frozen=True, tag="trouble_disk"):
    """From now on the disk to which objects go is slow, or fails; `key` is the driver's name for it."""

    key: int
    seed: int = 0
    seconds: Annotated[float, msgspec.Meta(ge=0.0, le=3600.0)] = 0.0
    """How much longer each object takes, either way."""
    writes: float = 0.0
    """The share of objects that cannot be written."""
    reads: float = 0.0
    """The share of objects that cannot be read back."""
    reason: str = "ENOSPC"
    """The name of the error that writing meets."""


class CalmDisk(msgspec.Struct, frozen=True, tag="calm_disk"):
    """The trouble of this name is over."""

    key: int


class EndScheduler(msgspec.Struct, frozen=True, tag="end_scheduler"):
    """SIGKILL of the scheduler process by itself."""


Injection = Strike | TroubleDisk | CalmDisk | EndScheduler


def encode(injection: Injection) -> str:
    """As it travels."""
    return msgspec.json.encode(injection).decode()


class Trouble:
    """What one driver has asked of the disk; each of its two threads draws from numbers of its own."""

    def __init__(self, asked: TroubleDisk) -> None:
        self._asked = asked
        self._writes = random.Random(f"{asked.seed} writes")
        self._reads = random.Random(f"{asked.seed} reads")

    def write(self) -> None:
        """Called before an object is written; raises OSError if it shall not be."""
        time.sleep(self._asked.seconds)
        if self._writes.random() < self._asked.writes:
            number = getattr(errno, self._asked.reason)
            raise OSError(number, f"{os.strerror(number)} (nbray.chaos)")

    def read(self) -> None:
        """Called before an object is read back; raises Damaged if it shall not be."""
        time.sleep(self._asked.seconds)
        if self._reads.random() < self._asked.reads:
            raise Damaged(f"its file cannot be read ({os.strerror(errno.EIO)} (nbray.chaos))")


class Troubled(Protocol):
    """The disk, as far as it can be troubled."""

    troubles: tuple[Trouble, ...]
    """Replaced as a whole, since other threads read it."""


class _Stopped(NamedTuple):
    until: float
    process: ProcessId
    slot: int
    pid: int


class Injections:
    """What drivers have asked for and what of it goes on; the loop's thread calls everything here."""

    def __init__(self, pids: Mapping[int, int], signal_worker: Callable[[int, int], None], disk: Troubled) -> None:
        self._pids = pids
        """The workers, by slot."""
        self._signal = signal_worker
        self._disk = disk
        self._stopped: list[_Stopped] = []
        self._troubles: dict[tuple[ProcessId, int], Trouble] = {}

    @property
    def due(self) -> float:
        """When `run_due` has something to do."""
        return min((each.until for each in self._stopped), default=NEVER)

    def carry_out(self, process: ProcessId, text: str, now: float) -> dict[str, object]:
        """Do what a driver asks for; the answer says whether it was `done`, or which `error` is in what it said."""
        try:
            asked = msgspec.json.decode(text, type=Injection)
            done = self._do(process, asked, now)
        except (msgspec.MsgspecError, ValueError) as error:
            return {"done": False, "error": str(error)}
        return {"done": done}

    def forget(self, process: ProcessId) -> None:
        """A driver is gone: what it had asked for is over."""
        self._go_on([each for each in self._stopped if each.process == process])
        for key in [key for key in self._troubles if key[0] == process]:
            del self._troubles[key]
        self._disk.troubles = tuple(self._troubles.values())

    def run_due(self, now: float) -> None:
        """Let those go on that have been stopped for long enough."""
        self._go_on([each for each in self._stopped if each.until <= now])

    def _do(self, process: ProcessId, asked: Injection, now: float) -> bool:
        if isinstance(asked, Strike):
            return self._strike(process, asked, now)
        if isinstance(asked, TroubleDisk):
            if not isinstance(getattr(errno, asked.reason, None), int):
                raise ValueError(f"{asked.reason!r} is the name of no error")
            self._troubles[process, asked.key] = Trouble(asked)
        elif isinstance(asked, CalmDisk):
            self._troubles.pop((process, asked.key), None)
        else:
            os.kill(os.getpid(), signal.SIGKILL)
        self._disk.troubles = tuple(self._troubles.values())
        return True

    def _strike(self, process: ProcessId, asked: Strike, now: float) -> bool:
        number = signal.Signals(asked.number)
        if self._pids.get(asked.slot) != asked.pid:
            return False
        if number is signal.SIGCONT:
            self._go_on([each for each in self._stopped if (each.process, each.pid) == (process, asked.pid)])
            return True
        self._signal(asked.slot, number)
        if number is signal.SIGSTOP:
            self._stopped.append(_Stopped(now + asked.seconds, process, asked.slot, asked.pid))
        return True

    def _go_on(self, over: list[_Stopped]) -> None:
        """A worker that several have stopped goes on when the last of them lets it."""
        self._stopped = [each for each in self._stopped if each not in over]
        still = {each.pid for each in self._stopped}
        for each in over:
            if self._pids.get(each.slot) == each.pid and each.pid not in still:
                self._signal(each.slot, signal.SIGCONT)
