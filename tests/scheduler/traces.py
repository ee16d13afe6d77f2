"""Recordings of real clusters, replayed through a fresh scheduler: its actions must be the same, byte for byte.

    python -m tests.scheduler.traces                  run the contract's tests and those of full stores, recorded, and replay
    python -m tests.scheduler.traces tests/engine     ... these tests instead
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import msgspec

from nbray.config import ClusterConfig
from nbray.engine.recording import SUFFIX, VARIABLE, Record, encode, read
from nbray.scheduler.events import Event, Received
from nbray.scheduler.scheduler import Scheduler
from nbray.store.allocator import Allocator

TESTS = ("tests/contract", "tests/engine/test_pressure.py", "tests/engine/test_faults.py")
ROOT = Path(__file__).parents[2]
EVENTS: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}


class Different(AssertionError):
    """A scheduler did something else when the same happened again."""


def replay(path: Path, make: Callable[[ClusterConfig, Allocator], Scheduler] = Scheduler) -> Counter[str]:
    """Feed a recording to a fresh scheduler; returns how often each kind of event and message came."""
    head, records = read(path)
    scheduler = make(head.config, Allocator(head.config.store_limit, head.arena_size))
    kinds: Counter[str] = Counter()
    for place, record in enumerate(records):
        event = msgspec.msgpack.decode(record.event, type=EVENTS[record.kind])
        kinds[type(event.message if isinstance(event, Received) else event).__name__] += 1
        actions = encode(scheduler.handle(event, record.now))
        if actions != record.actions:
            raise Different(_difference(path, place, record, event, actions))
    return kinds


def _difference(path: Path, place: int, record: Record, event: Event, actions: bytes) -> str:
    then, now = (msgspec.msgpack.decode(each) for each in (record.actions, actions))
    what = f"{path.name}, event {place} at {record.now:.6f}: {event!r:.500}"
    return f"{what}\n  recorded: {then!r:.1000}\n  replayed: {now!r:.1000}"


def record_tests(tests: Sequence[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Run tests of real clusters, each of which leaves a recording in the directory."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "local and not slow", *tests]
    environment = os.environ | {VARIABLE: str(directory)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def replay_all(directory: Path) -> tuple[int, Counter[str]]:
    """Replay every recording of a directory; how many there were, and what happened in them."""
    paths, kinds = sorted(directory.glob(f"*{SUFFIX}")), Counter[str]()
    for path in paths:
        kinds += replay(path)
    return len(paths), kinds


def main() -> None:
    """Record, replay, and print what was replayed."""
    with tempfile.TemporaryDirectory(prefix="nbray-traces-") as folder:
        done = record_tests(sys.argv[1:] or TESTS, Path(folder))
        print(done.stdout.strip().splitlines()[-1])
        count, kinds = replay_all(Path(folder))
    for kind, number in kinds.most_common():
        print(f"{kind:20} {number:9,}")
    print(f"{count} clusters, {kinds.total():,} events: identical actions, byte for byte")
    sys.exit(done.returncode if count else "nothing was recorded")


if __name__ == "__main__":
    main()
