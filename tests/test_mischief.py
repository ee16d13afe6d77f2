"""Kinds of faults, and the choices that a seed makes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nbray import session
from nbray.engine.injection import CalmDisk, Injection, TroubleDisk
from nbray.errors import ClusterDied
from nbray.mischief import LARGEST_PIECE, Dice, OnDisk, OnStore, OnWorkers
from nbray.snapshot import ClusterSnapshot, StoreSnapshot, WorkerSnapshot, WorkerState
from tests.fakes import FakeBackend, fresh_session


def worker(slot: int, state: WorkerState = "busy", task: str = "", actor: str = "") -> WorkerSnapshot:
    return WorkerSnapshot(slot, 1000 + slot, state, task, actor=actor)


class Cluster(FakeBackend):
    """One that shows workers and a store, and takes down what it is asked for."""

    def __init__(self, *workers: WorkerSnapshot, limit: int = 0, used: int = 0, free: int = 0) -> None:
        super().__init__()
        self.picture = ClusterSnapshot(1, self.epoch, {}, {}, StoreSnapshot(limit, used, 0), list(workers))
        self.injected: list[Injection] = []
        self.free = free
        self.refused = 0
        self.occupied: list[int] = []

    def snapshot(self) -> ClusterSnapshot:
        return self.picture

    def inject(self, fault: Injection) -> bool:
        self.injected.append(fault)
        return True

    def occupy(self, size: int) -> Callable[[], None] | None:
        if size > self.free - sum(self.occupied) or size % 4096:
            self.refused += 1
            return None
        self.occupied.append(size)
        return lambda: self.occupied.remove(size)


@pytest.fixture
def current() -> Iterator[Any]:
    with fresh_session() as one:
        yield one


def notes_of(mischief: Any) -> list[tuple[str, str]]:
    noted: list[tuple[str, str]] = []
    mischief.begin(lambda what, task: noted.append((what, task)))
    return noted


# -------------------------------------------------------------------- choices


def choices(seed: int) -> list[tuple[float | None, int]]:
    dice = Dice("kill_workers", 2.0, seed, None)
    return [(dice.pause(), dice.order([worker(slot) for slot in range(5)])[0].slot) for _ in range(50)]


def test_the_same_seed_makes_the_same_choices() -> None:
    assert choices(1) == choices(1)
    assert choices(1) != choices(2)
    assert all(pause is not None and 1.0 <= pause <= 3.0 for pause, _ in choices(1))
    assert {slot for _, slot in choices(1)} == set(range(5))


def test_choices_do_not_depend_on_how_often_it_was_looked() -> None:
    patient = Dice("kill_workers", 2.0, 1, None)
    seen = []
    for _ in range(50):
        pause = patient.pause()
        for _ in range(3):
            patient.order([])
        seen.append((pause, patient.order([worker(slot) for slot in (4, 2, 0, 3, 1)])[0].slot))
    assert seen == choices(1)


def test_there_are_so_many_and_no_more() -> None:
    dice = Dice("kill_workers", 1.0, 0, 2)
    assert [dice.pause() is not None for _ in range(4)] == [True, True, False, False]


def test_what_lasts_is_over_before_the_pause_to_the_next() -> None:
    plain, lasting = Dice("stall_workers", 2.0, 1, None), Dice("stall_workers", 2.0, 1, None, seconds=5.0)
    pauses = [(plain.pause(), lasting.pause()) for _ in range(3)]
    assert [round((late or 0) - (early or 0), 9) for early, late in pauses] == [0.0, 5.0, 5.0]


# -------------------------------------------------------------------- workers


def hit_by(task: str = "", idle: bool = False) -> list[int]:
    """The slots of the workers that may be hit in a cluster with one of each kind."""
    cluster = Cluster(
        worker(0, "busy", "train"), worker(1, "blocked", "train"), worker(2, "idle"), worker(3, "starting"),
        worker(4, "stopping"), worker(5, "busy", "add", "Counter 'totals'"), worker(6, "idle", actor="Counter"),
        WorkerSnapshot(7, 0, "busy", "train"),
    )  # fmt: skip
    session.current.backend = cluster
    struck: list[int] = []

    def blow(backend: object, each: WorkerSnapshot) -> str:
        struck.append(each.slot)
        return ""  # it is gone: the next one, then

    mischief = OnWorkers(Dice("", 1.0, 0, None), blow, task, idle)
    assert not mischief._hit(lambda what, task: None)
    return sorted(struck)


@pytest.mark.usefixtures("current")
@pytest.mark.parametrize(
    ("task", "idle", "slots"),
    [("", False, [0, 1, 5]), ("", True, [0, 1, 2, 5, 6]), ("train", False, [0, 1]), ("Counter", False, [5]),
     ("Counter", True, [5, 6]), ("add", False, [5]), ("other", True, [])],
)  # fmt: skip
def test_who_may_be_hit(task: str, idle: bool, slots: list[int]) -> None:
    assert hit_by(task, idle) == slots


def test_it_hits_until_it_has_had_enough_and_undoes_it_at_the_end(current: Any) -> None:
    cluster = current.backend = Cluster(worker(0, "busy", "train"))
    hits = threading.Event()
    undo: list[Any] = [(cluster.epoch, CalmDisk(5)), ("another cluster", CalmDisk(6))]

    def blow(backend: object, each: WorkerSnapshot) -> str:
        hits.set()
        return "struck it"

    mischief = OnWorkers(Dice("", 0.001, 0, 1), blow, "", False, undo)
    noted = notes_of(mischief)
    assert hits.wait(10)
    mischief.end()
    assert noted == [("struck it", "train")]
    assert cluster.injected == [CalmDisk(5)]


def test_what_goes_wrong_on_its_thread_is_raised_at_the_end(current: Any) -> None:
    current.backend = Cluster(worker(0))
    tried = threading.Event()

    def blow(backend: object, each: WorkerSnapshot) -> str:
        tried.set()
        raise ArithmeticError("a bug")

    mischief = OnWorkers(Dice("", 0.001, 0, 1), blow, "", False)
    notes_of(mischief)
    assert tried.wait(10)
    with pytest.raises(ArithmeticError, match="a bug"):
        mischief.end()


def test_a_cluster_that_dies_under_it_is_no_error(current: Any) -> None:
    def blow(backend: object, each: WorkerSnapshot) -> str:
        raise ClusterDied("gone")

    mischief = OnWorkers(Dice("", 1.0, 0, None), blow, "", False)
    assert not mischief._hit(lambda what, task: None)  # there is none yet
    current.backend = Cluster(worker(0))
    assert not mischief._hit(lambda what, task: None)


# -------------------------------------------------------------------- store and disk


@pytest.mark.parametrize(
    ("limit", "used", "free", "leaving", "taken"),
    [(1000 << 20, 200 << 20, 800 << 20, 0, 800 << 20), (1000 << 20, 0, 1000 << 20, 100 << 20, 900 << 20),
     (1 << 20, 900_000, 1 << 20, 500_000, 0), (0, 0, 0, 0, 0)],
)  # fmt: skip
def test_the_room_of_the_store_is_taken_and_given_back(
    current: Any, limit: int, used: int, free: int, leaving: int, taken: int
) -> None:
    cluster = current.backend = Cluster(limit=limit, used=used, free=free)
    mischief = OnStore(leaving)
    (note,) = notes_of(mischief)
    assert sum(cluster.occupied) == taken
    assert max(cluster.occupied, default=0) <= LARGEST_PIECE
    assert "of the store's" in note[0]
    mischief.end()
    assert cluster.occupied == []


def test_of_a_store_of_any_size_nothing_is_asked_that_is_refused(current: Any) -> None:
    cluster = current.backend = Cluster(limit=7_582_953_062, free=7_582_953_062)
    mischief = OnStore(0)
    notes_of(mischief)
    assert cluster.refused == 0
    assert 0 <= 7_582_953_062 - sum(cluster.occupied) < 1 << 16
    mischief.end()


def test_where_large_pieces_are_not_to_be_had_it_takes_smaller_ones(current: Any) -> None:
    cluster = current.backend = Cluster(limit=300 << 20, free=190 << 20)
    mischief = OnStore(0)
    notes_of(mischief)
    assert 189 << 20 < sum(cluster.occupied) <= 190 << 20
    mischief.end()


def test_trouble_of_the_disk_is_asked_for_and_called_off(current: Any) -> None:
    cluster = current.backend = Cluster()
    mischief = OnDisk(TroubleDisk(9, writes=1.0), "no object can be written")
    assert notes_of(mischief) == [(f"the disk of cluster {cluster.epoch}: no object can be written", "")]
    mischief.end()
    assert cluster.injected == [TroubleDisk(9, writes=1.0), CalmDisk(9)]


def test_a_cluster_that_has_gone_is_told_nothing(current: Any) -> None:
    gone = current.backend = Cluster()
    mischief = OnDisk(TroubleDisk(9), "")
    notes_of(mischief)
    fresh = current.backend = Cluster()
    mischief.end()
    assert (len(gone.injected), fresh.injected) == (1, [])
