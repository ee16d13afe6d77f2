import os
import select
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from nbray.engine.disk import Disk, DiskEvent
from nbray.ids import ObjectId
from nbray.scheduler.actions import RemoveSpilled, Restore, Spill
from nbray.scheduler.events import RestoreDone, RestoreFailed, SpillDone, SpillFailed
from nbray.store.arena import Arena
from nbray.store.spill_files import SpillFiles

OBJECT = ObjectId(5)
SIZE = 100_000


class Bench:
    """A disk over a directory, and an arena with something in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.arena = Arena.create(1 << 22)
        self.arena.write_view(0, SIZE)[:] = os.urandom(SIZE)
        self.opened = os.open(directory, os.O_RDONLY)
        self.disk = Disk(SpillFiles(self.arena, lambda: self.opened))

    def next(self) -> DiskEvent:
        """What is done next."""
        assert select.select([self.disk], [], [], 10)[0]
        (event,) = self.disk.take()
        return event

    def spill(self) -> int:
        self.disk.carry_out(Spill(OBJECT, 0, SIZE))
        event = self.next()
        assert isinstance(event, SpillDone)
        assert event.object_id == OBJECT
        return event.checksum


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.disk.close()
    os.close(made.opened)
    made.arena.close()


def test_an_object_goes_comes_back_and_is_removed(bench: Bench) -> None:
    checksum = bench.spill()
    bench.disk.carry_out(Restore(OBJECT, 1 << 20, SIZE, checksum, warm=False))
    assert bench.next() == RestoreDone(OBJECT)
    assert bench.arena.read_view(1 << 20, SIZE) == bench.arena.read_view(0, SIZE)
    done = threading.Event()
    bench.disk.carry_out(RemoveSpilled(OBJECT))
    bench.disk.write(done.set)
    assert done.wait(10)
    assert list(bench.directory.iterdir()) == []


def test_damage_is_told_from_want_of_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    checksum = bench.spill()
    bench.disk.carry_out(Restore(OBJECT, 0, SIZE, checksum + 1, warm=True))
    event = bench.next()
    assert isinstance(event, RestoreFailed)
    assert event.damaged

    def write(descriptor: int, data: memoryview, offset: int) -> int:
        raise MemoryError if not data else OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(os, "pwrite", write)
    bench.disk.carry_out(Restore(OBJECT, 0, SIZE, checksum, warm=False))
    event = bench.next()
    assert isinstance(event, RestoreFailed)
    assert not event.damaged
    assert "Cannot allocate memory" in event.reason


def test_a_disk_that_takes_nothing_says_why(bench: Bench) -> None:
    (bench.directory / "5").mkdir()
    bench.disk.carry_out(Spill(OBJECT, 0, SIZE))
    assert bench.next() == SpillFailed(OBJECT, "File exists")


def test_what_comes_back_does_not_wait_for_what_leaves(bench: Bench) -> None:
    checksum = bench.spill()
    held = threading.Event()
    bench.disk.write(partial(_wait, held))
    bench.disk.carry_out(Restore(OBJECT, 0, SIZE, checksum, warm=False))
    assert bench.next() == RestoreDone(OBJECT)
    held.set()


def _wait(held: threading.Event) -> None:
    held.wait(10)


def test_no_thread_before_the_first_object(bench: Bench) -> None:
    assert bench.disk._threads == []
    assert bench.disk.take() == []
