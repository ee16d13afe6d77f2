from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from nbray.engine import measures
from nbray.engine.measures import Measures
from nbray.snapshot import ClusterSnapshot, StoreSnapshot, WorkerSnapshot
from tests.squeezed import squeezed

MB = 1_000_000


@pytest.fixture
def kills(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many processes the system has ended, in its only item."""
    count = [3]
    monkeypatch.setattr(measures, "memory_kills", lambda: count[0])
    return count


def test_memory_is_what_a_worker_has_for_itself(kills: list[int]) -> None:
    looked = Measures(0)
    looked.add(0, os.getpid())
    before = looked.look_at_memory()
    kept = os.urandom(50 * MB)
    after = looked.look_at_memory()
    assert 45 * MB < after.workers[0] - before.workers[0] < 60 * MB
    assert 0 < after.available <= after.total
    del kept


def test_a_limit_of_ones_own_counts_only_the_workers(kills: list[int]) -> None:
    looked = Measures(10**12)
    looked.add(0, os.getpid())
    used = looked.look_at_memory()
    assert used.total == 10**12
    assert used.available == 10**12 - used.workers[0]


def test_a_worker_that_has_just_ended_is_passed_over(kills: list[int]) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    looked = Measures(0)
    looked.add(0, process.pid)
    looked.look_at_cores()
    assert looked.look_at_memory().workers == {}


def test_the_picture_has_what_was_looked_at(kills: list[int]) -> None:
    looked = Measures(0)
    looked.add(1, os.getpid())
    looked.look_at_cores()
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    looked.look_at_cores()
    used = looked.look_at_memory()
    idle, busy = WorkerSnapshot(0, 5, "idle"), WorkerSnapshot(1, os.getpid(), "busy")
    picture = looked.written_into(ClusterSnapshot(0, "e", {}, {}, StoreSnapshot(0, 0, 0), [idle, busy]))
    assert picture.workers[0] == idle
    assert picture.workers[1].rss == used.workers[1]
    assert picture.workers[1].cpu > 0


def test_a_worker_that_the_system_ended_for_its_memory_is_told_from_others(kills: list[int]) -> None:
    looked = Measures(0)
    for slot in (0, 1, 2):
        looked.add(slot, os.getpid())
    size = looked.look_at_memory().workers[0]
    assert looked.remove(0, killed=True) == 0, "somebody else has killed it"
    kills[0] += 1
    assert looked.remove(1, killed=False) == 0, "it has ended by itself"
    assert looked.remove(2, killed=True) == pytest.approx(size)
    assert looked.remove(3, killed=True) == 0


def test_without_a_descriptor_left_the_last_look_holds(kills: list[int]) -> None:
    looked = Measures(0)
    looked.add(0, os.getpid())
    before = looked.look_at_memory()
    with squeezed():
        looked.add(1, os.getpid())
        looked.look_at_cores()
        assert looked.look_at_memory() == before
        assert looked.headroom() == before.available
        assert looked.remove(0, killed=True) == 0
    assert set(looked.look_at_memory().workers) == {1}, "and what came meanwhile is found afterwards"
