"""Tasks that take their worker with them, each time that they are tried, among thousands that harm nobody."""

from __future__ import annotations

import collections
import contextlib
import ctypes
import faulthandler
import functools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import nbray
from nbray.backends import local_clusters
from nbray.config import ClusterConfig
from tests.fakes import fresh_session

RETRIES = 2
WORKERS = 4
MEMORY = 600_000_000
"""What the workers may have together, as far as the scheduler's guard is told."""
PATIENCE = 60.0


def reads_nowhere() -> None:
    ctypes.string_at(0)


def exits() -> None:
    os._exit(3)


def aborts() -> None:
    os.abort()


def overflows_the_stack_of_c() -> None:
    overflow: Any = faulthandler
    overflow._stack_overflow()


def kills_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kills_its_group() -> None:
    os.killpg(0, signal.SIGTERM)
    time.sleep(PATIENCE)


def exits_in_a_thread() -> None:
    threading.Thread(target=os._exit, args=(7,)).start()
    time.sleep(PATIENCE)


def writes_into_others_sockets() -> None:
    for path in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(path.name))) as found:
            if found.family == socket.AF_UNIX:
                found.sendall(b"\xff" * 100)
    time.sleep(PATIENCE)


def closes_all_descriptors() -> None:
    os.closerange(3, 1000)
    time.sleep(PATIENCE)


def takes_all_memory() -> None:
    _ = [b"x" * 20_000_000 for _ in range(40)]
    time.sleep(PATIENCE)


class Kind(NamedTuple):
    """One kind of poison, and the words for how each of its workers ended."""

    task: Callable[[], None]
    end: str
    why: str
    error: type[nbray.NbrayError] = nbray.WorkerDied


KINDS = (
    Kind(reads_nowhere, "SIGSEGV (signal 11)", "Compiled code crashed"),
    Kind(exits, "exit code 3", "ended the process (os._exit or the like)"),
    Kind(aborts, "SIGABRT (signal 6)", "Compiled code gave up"),
    Kind(overflows_the_stack_of_c, "SIGSEGV (signal 11)", "Compiled code crashed"),
    Kind(kills_itself, "SIGKILL (signal 9)", "Something outside killed it"),
    Kind(kills_its_group, "SIGTERM (signal 15)", "Something outside asked it to end"),
    Kind(exits_in_a_thread, "exit code 7", "ended the process (os._exit or the like)"),
    Kind(writes_into_others_sockets, "SIGKILL (signal 9)", "wrote to a descriptor that is not its own"),
    Kind(closes_all_descriptors, "SIGKILL (signal 9)", ""),
    Kind(takes_all_memory, "", "because the memory ran out", nbray.OutOfMemory),
)


class Poisoned(NamedTuple):
    """What became of all."""

    innocents: int
    right: int
    once: bool
    """The file in which each run of an innocent task writes a line has one of each."""
    errors: list[BaseException]
    """Of the kinds, in their order."""
    workers: int
    """How many processes did all that."""
    seconds: float

    def wrong(self) -> list[str]:
        """What may not be."""
        attempts = len(KINDS) * (1 + RETRIES) + 1  # memory has one more
        found = [
            f"{self.right} of {self.innocents} results are right" * (self.right != self.innocents),
            "an innocent task ran twice, or not at all" * (not self.once),
            f"{self.workers} workers for {attempts} attempts" * (self.workers > WORKERS + attempts),
        ]
        found += [wrong_with(kind, error) for kind, error in zip(KINDS, self.errors, strict=True)]
        return [what for what in found if what]


def wrong_with(kind: Kind, error: BaseException) -> str:
    """What this error does not say; empty when all is there."""
    text, name = str(error), kind.task.__name__
    if type(error) is not kind.error or name not in text or kind.why not in text:
        return f"{name}: {error!r}"
    before = f"earlier attempts have ended {RETRIES} workers too, by {', '.join([kind.end] * RETRIES)}"
    said = f"ended by {kind.end} while it ran {name}, attempt {1 + RETRIES}" in text and before in text
    return "" if said or kind.error is nbray.OutOfMemory else f"{name} does not say how its workers ended: {error}"


def innocent(number: int, ledger: str) -> tuple[int, int]:
    """Leave a line, and say who did it."""
    descriptor = os.open(ledger, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b"%d\n" % number)
    os.close(descriptor)
    return number * number, os.getpid()


@contextlib.contextmanager
def small_memory() -> Iterator[None]:
    """Clusters that start now are told that the machine has little memory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_clusters, "ClusterConfig", functools.partial(ClusterConfig, memory_limit=MEMORY))
        yield


def poison(innocents: int, folder: Path) -> Poisoned:
    """Let all kinds and so many innocent tasks run at once."""
    ledger = folder / "ledger"
    ledger.touch()
    started = time.monotonic()
    with fresh_session(), small_memory():
        nbray.init(num_workers=WORKERS, linger=0)
        portion = innocents // len(KINDS)
        refs: list[Any] = []
        deadly = []
        for place, kind in enumerate(KINDS):
            deadly.append(nbray.remote(kind.task).options(max_retries=RETRIES).remote())
            refs += [
                nbray.apply_async(innocent, (number, str(ledger))) for number in range(place * portion, (place + 1) * portion)
            ]
        results = nbray.get(refs)
        errors = [failure_of(ref) for ref in deadly]
    lines = collections.Counter(map(int, ledger.read_text().split()))
    right = sum(value == number * number for number, (value, _) in enumerate(results))
    once = lines == collections.Counter(range(len(refs)))
    return Poisoned(len(refs), right, once, errors, len({pid for _, pid in results}), time.monotonic() - started)


def seconds_for_deaths(count: int) -> float:
    """How long it takes until so many tasks have each ended a worker."""
    with fresh_session():
        nbray.init(num_workers=WORKERS, linger=0)
        nbray.get(nbray.apply_async(abs, (-1,)))
        started = time.monotonic()
        for ref in [nbray.remote(exits).remote() for _ in range(count)]:
            failure_of(ref)
        return time.monotonic() - started


def failure_of(ref: Any) -> BaseException:
    """How a task ended that must not succeed."""
    try:
        nbray.get(ref, timeout=PATIENCE)
    except nbray.NbrayError as error:
        return error
    raise AssertionError("it has a result")
