"""Faults on purpose: what becomes of your notebook when workers die, stall, the store is full, the disk fails.

    with nbray.chaos.kill_workers(every=0.5, seed=1):
        results = nbray.get([simulate.remote(x) for x in range(100)])

Each function here gives a context manager. The faults begin at its first line and are over behind its last one, and it says
then what it did. They meet workers, store and disk of this session's own cluster and nothing else: no process is searched for,
the cluster's own processes carry them out. The same `seed` makes the same choices: how long to wait, which of the workers that
are there, which objects. What runs at that moment is up to the machine. Several may be entered at the same time.
"""

from __future__ import annotations

import itertools
import signal as signals
import sys
import time
from types import TracebackType
from typing import NamedTuple, Self

from nbray import resources as amounts
from nbray import session
from nbray.backends.backend import Backend
from nbray.engine.injection import CalmDisk, Strike, TroubleDisk
from nbray.errors import UsageError
from nbray.mischief import Dice, Mischief, OnDisk, OnScheduler, OnStore, OnWorkers
from nbray.snapshot import WorkerSnapshot
from nbray.wording import count_text

__all__ = [
    "Chaos", "Fault", "failing_disk", "fill_store", "full_disk", "kill_scheduler", "kill_workers", "slow_disk", "stall_workers",
]  # fmt: skip

MOST_LINES = 12
_ENDING = ("SIGKILL", "SIGTERM", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGINT", "SIGHUP", "SIGQUIT")
_keys = itertools.count(1)


class Fault(NamedTuple):
    """One thing that was done."""

    at: float
    """Seconds since the block was entered."""
    what: str
    task: str = ""
    """What the worker ran when it was chosen."""

    def __str__(self) -> str:
        return f"{self.at:7.2f} s  {self.what}" + (f" in {self.task}" if self.task else "")


class Chaos:
    """Faults for as long as a `with` block lasts. `faults` lists those that have happened, `str()` tells of them.

    It is printed at the end, unless `quiet=True` was given.
    """

    def __init__(self, mischief: Mischief, name: str, seed: int | None, quiet: bool) -> None:
        self.faults: list[Fault] = []
        self.seed = seed
        """None where nothing is left to chance."""
        self._mischief = mischief
        self._name = name
        self._quiet = quiet
        self._began = 0.0
        self._seconds: float | None = None
        """How long it lasted, once it is over."""

    def __enter__(self) -> Self:
        if session.current.in_worker:
            raise UsageError(f"nbray.chaos.{self._name}() was entered inside a task: enter it in the notebook, around nbray.get")
        if self._began:
            raise UsageError(f"this nbray.chaos.{self._name}() was used already: write it anew for each `with`")
        session.current_backend().inject(CalmDisk(0))  # nobody's: says at once where nothing of the kind can be done
        self._began = time.monotonic()
        self._mischief.begin(self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self._mischief.end()
        finally:
            self._seconds = time.monotonic() - self._began
            if not self._quiet:
                sys.stdout.write(f"{self}\n")

    def _note(self, what: str, task: str) -> None:
        self.faults.append(Fault(round(time.monotonic() - self._began, 3), what, task))

    def __str__(self) -> str:
        lines = [str(fault) for fault in self.faults[:MOST_LINES]]
        if len(self.faults) > MOST_LINES:
            lines.append(f"           ... and {len(self.faults) - MOST_LINES} more: see .faults")
        return "\n".join([repr(self)[1:-1], *lines])

    def __repr__(self) -> str:
        when = "" if not self._began else " so far" if self._seconds is None else f" in {self._seconds:.1f} s"
        seed = "" if self.seed is None else f"seed={self.seed}"
        return f"<nbray.chaos.{self._name}({seed}): {count_text(len(self.faults), 'fault')}{when}>"


# -------------------------------------------------------------------- what users call


def kill_workers(
    every: float = 1.0, *, seed: int = 0, times: int | None = None, task: str = "", signal: str = "SIGKILL", idle: bool = False,
    quiet: bool = False,
) -> Chaos:  # fmt: skip
    """Kill a worker about every so many seconds (half to one and a half of it), `times` times at most.

    It is one that runs something, and only a task, actor class or method called `task` where that is given; `idle=True` takes
    any. What it has started dies with it where `signal` is "SIGKILL"; others are sent to the worker alone, such as "SIGSEGV" or
    "SIGTERM". Tasks with `max_retries` run again, others raise WorkerDied, actors without `max_restarts` are dead.

    >>> import nbray, time
    >>> @nbray.remote(max_retries=3)
    ... def slow(x):
    ...     time.sleep(0.3)
    ...     return x
    >>> with nbray.chaos.kill_workers(every=0.1, times=1, quiet=True) as chaos:
    ...     nbray.get([slow.remote(x) for x in range(3)])
    [0, 1, 2]
    >>> len(chaos.faults), chaos.faults[0].task
    (1, 'slow')
    """
    if signal not in _ENDING:
        raise UsageError(f"signal={signal!r}: expected the name of one that ends a process: {', '.join(_ENDING)}")
    number = signals.Signals[signal]
    how = "killed" if signal == "SIGKILL" else f"sent {signal} to"

    struck: set[int] = set()

    def strike(backend: Backend, worker: WorkerSnapshot) -> str:
        """Once each: it may take a while until a process has ended."""
        if worker.pid in struck or not backend.inject(Strike(worker.slot, worker.pid, number)):
            return ""
        struck.add(worker.pid)
        return f"{how} worker {worker.slot} (pid {worker.pid})"

    mischief = OnWorkers(_dice("kill_workers", every, seed, times), strike, _text("task", task), idle)
    return Chaos(mischief, "kill_workers", seed, quiet)


def stall_workers(
    every: float = 1.0, *, seconds: float = 0.5, seed: int = 0, times: int | None = None, task: str = "", idle: bool = False,
    quiet: bool = False,
) -> Chaos:  # fmt: skip
    """Stop a worker (SIGSTOP), let it go on after `seconds`, and about `every` seconds later the next, as if the machine swapped.

    `every`, `times`, `task` and `idle` are those of `kill_workers`. Nothing fails: what it runs takes longer. When the block
    ends it goes on at once.

    >>> import nbray, time
    >>> with nbray.chaos.stall_workers(every=0.1, seconds=0.2, times=1, quiet=True) as chaos:
    ...     nbray.get(nbray.apply_async(time.sleep, (0.4,)))
    >>> chaos.faults[0].what.startswith("stalled worker")
    True
    """
    _positive("seconds", seconds)
    dice, stalled = _dice("stall_workers", every, seed, times, seconds), list[tuple[str, Strike]]()

    def strike(backend: Backend, worker: WorkerSnapshot) -> str:
        if not backend.inject(Strike(worker.slot, worker.pid, signals.SIGSTOP, seconds)):
            return ""
        stalled.append((backend.epoch, Strike(worker.slot, worker.pid, signals.SIGCONT)))
        return f"stalled worker {worker.slot} (pid {worker.pid}) for {seconds:g} s"

    mischief = OnWorkers(dice, strike, _text("task", task), idle, stalled)
    return Chaos(mischief, "stall_workers", seed, quiet)


def kill_scheduler(after: float = 0.0, *, quiet: bool = False) -> Chaos:
    """Kill the scheduler process after so many seconds: the cluster ends, with its tasks, actors and objects.

    All that waits raises ClusterDied; the next use starts a fresh cluster.

    >>> import nbray, time
    >>> with nbray.chaos.kill_scheduler(after=0.1, quiet=True):
    ...     nbray.get(nbray.apply_async(time.sleep, (60,)))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    nbray.errors.ClusterDied: ...
    >>> nbray.get(nbray.apply_async(abs, (-1,)))
    1
    """
    if not isinstance(after, int | float) or isinstance(after, bool) or not 0 <= after < float("inf"):
        raise UsageError(f"after={after!r}: expected a number of seconds, for example after=0.5")
    return Chaos(OnScheduler(after), "kill_scheduler", None, quiet)


def fill_store(leaving: float | str = 0, *, quiet: bool = False) -> Chaos:
    """Take the room that the store has, but for `leaving` bytes, or as "10MB"; nothing is written there, so it costs no memory.

    What comes then moves older objects to disk, or raises StoreFull where they are in use or spilling is off. Objects that
    were there stay, and room that they give back is free.

    >>> import nbray
    >>> with nbray.chaos.fill_store(quiet=True):
    ...     nbray.put(bytes(10_000_000))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    nbray.errors.StoreFull: ...
    """
    return Chaos(OnStore(amounts.to_bytes(leaving, "leaving")), "fill_store", None, quiet)


def slow_disk(seconds: float = 0.2, *, quiet: bool = False) -> Chaos:
    """Let the disk take so much longer for each object that is moved there, or brought back."""
    _positive("seconds", seconds)
    return _on_disk("slow_disk", f"each object takes {seconds:g} s longer", TroubleDisk(next(_keys), seconds=seconds), quiet)


def full_disk(*, quiet: bool = False) -> Chaos:
    """Let the disk have no room for objects: they stay in the store, and a store that is full stays full (StoreFull)."""
    return _on_disk("full_disk", "no object can be written", TroubleDisk(next(_keys), writes=1.0), quiet)


def failing_disk(share: float = 0.1, *, seed: int = 0, quiet: bool = False) -> Chaos:
    """Let this share of the objects that are moved to disk, or brought back, meet an input/output error.

    One that cannot be written stays in the store. One that cannot be read back is lost: who asks for it gets ObjectLost.
    """
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 < share <= 1:
        raise UsageError(f"share={share!r}: expected a number between 0 and 1, for example share=0.1 for one object in ten")
    trouble = TroubleDisk(next(_keys), _whole("seed", seed), writes=share, reads=share, reason="EIO")
    return _on_disk("failing_disk", f"{share:.0%} of objects meet an input/output error", trouble, quiet)


def _on_disk(name: str, what: str, trouble: TroubleDisk, quiet: bool) -> Chaos:
    return Chaos(OnDisk(trouble, what), name, trouble.seed if trouble.reads else None, quiet)


# -------------------------------------------------------------------- checks


def _dice(name: str, every: float, seed: int, times: int | None, seconds: float = 0.0) -> Dice:
    _positive("every", every)
    return Dice(name, every, _whole("seed", seed), times if times is None else _whole("times", times, least=1), seconds)

def _positive(name: str, value: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < float("inf"):
        raise UsageError(f"{name}={value!r}: expected a number of seconds above 0, for example {name}=0.5")


def _whole(name: str, value: int, least: int | None = None) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        more = f" of at least {least}" if least is not None else ""
        raise UsageError(f"{name}={value!r}: expected a whole number{more}, for example {name}={least or 1}")
    return value


def _text(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f'{name}={value!r}: expected the name of a task, for example {name}="train"')
    return value
