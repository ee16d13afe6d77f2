"""Real clusters that have more objects than their store holds, and tasks that take more memory than there is."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbray
from nbray import session
from nbray.backends.local import LocalBackend
from nbray.engine import run_directory
from nbray.engine.driver import Driver
from tests.engine.local_cluster import config
from tests.fakes import fresh_session

pytestmark = pytest.mark.local

STORE = 32_000_000
ITEMS = 500_000
"""Eight of these fill the store."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a small cluster's spill directory."""
    with fresh_session():
        nbray.init(num_workers=2, memory=STORE, spill_directory=str(tmp_path))
        yield tmp_path
    assert list(tmp_path.iterdir()) == []


def put(count: int) -> list[nbray.ObjectRef]:
    return [nbray.put(np.full(ITEMS, number, dtype=np.float64)) for number in range(count)]


def spilled(folder: Path) -> list[Path]:
    """The files of objects on disk."""
    return [path for path in folder.glob("spill-*/*") if path.name != run_directory.FILE_NAME]


def test_tasks_over_three_stores_of_arguments(folder: Path) -> None:
    @nbray.remote
    def total(values: Any, more: Any) -> float:
        return float(values.sum() + more[0])

    refs = put(24)
    sums = nbray.get([total.remote(ref, other) for ref, other in zip(refs, reversed(refs), strict=True)])
    assert sums == [float(ITEMS * number + 23 - number) for number in range(24)]


def test_results_over_three_stores(folder: Path) -> None:
    @nbray.remote
    def make(number: int) -> Any:
        return np.full(ITEMS, number, dtype=np.float64)

    refs = [make.remote(number) for number in range(24)]
    assert nbray.wait(refs, num_returns=24)[1] == []
    assert [float(nbray.get(ref)[-1]) for ref in refs] == list(range(24))


def test_an_actor_keeps_what_it_was_given(folder: Path) -> None:
    class Keeper:
        def __init__(self) -> None:
            self.kept: list[Any] = []

        def keep(self, values: Any) -> float:
            self.kept.append(values)
            return float(values[0])

        def sums(self) -> list[float]:
            return [float(values.sum()) for values in self.kept]

    keeper = nbray.remote(Keeper).remote()
    refs = put(4)
    assert nbray.get([keeper.keep.remote(ref) for ref in refs]) == [0.0, 1.0, 2.0, 3.0]
    others = put(20)
    assert nbray.get(keeper.sums.remote()) == [float(ITEMS * number) for number in range(4)]
    assert float(nbray.get(others[0])[0]) == 0.0


def test_arrays_that_live_keep_their_bytes(folder: Path) -> None:
    refs = put(4)
    arrays = nbray.get(refs)
    del refs
    for _ in range(2):
        put(12)
    assert [float(array.mean()) for array in arrays] == [0.0, 1.0, 2.0, 3.0]


def test_a_store_full_of_arrays_that_live_is_full(folder: Path) -> None:
    refs = put(24)
    arrays: list[Any] = []
    with pytest.raises(nbray.StoreFull, match="What could be moved to disk is in use by arrays"):
        arrays.extend(map(nbray.get, refs))
    assert 6 <= len(arrays) <= 8
    arrays.clear()
    assert float(nbray.get(refs[-1])[0]) == 23.0


def test_damaged_bytes_are_an_error_that_names_the_task(folder: Path) -> None:
    @nbray.remote
    def load_images() -> Any:
        return np.full(ITEMS, 7.0)

    ref = load_images.remote()
    nbray.wait([ref])
    others = put(16)
    for path in spilled(folder):
        with path.open("r+b") as file:
            file.seek(1000)
            file.write(b"\xff\x00\xff")
    with pytest.raises(nbray.ObjectLost, match=r"made by load_images.*its checksum is not the one"):
        nbray.get(ref)

    @nbray.remote
    def use(values: Any) -> float:
        return float(values[0])

    with pytest.raises(nbray.ObjectLost, match="made by load_images"):
        nbray.get(use.remote(ref))
    del others


def test_files_go_with_their_objects(folder: Path) -> None:
    refs = put(24)
    assert len(spilled(folder)) >= 16
    del refs
    deadline = time.monotonic() + 10
    while spilled(folder) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert spilled(folder) == []


def test_without_a_disk_the_store_is_full_at_once() -> None:
    with fresh_session():
        nbray.init(num_workers=1, memory=STORE, spill_directory=False)
        with pytest.raises(nbray.StoreFull, match="no room for"):
            put(9)


def test_a_directory_in_memory_is_refused() -> None:
    with fresh_session(), pytest.raises(nbray.UsageError, match=r"kept in memory \(tmpfs\).*Name a directory on a disk"):
        nbray.init(num_workers=1, memory=STORE, spill_directory="/dev/shm/nbray-test")


# ---------------------------------------------------------------- memory


@pytest.fixture
def limited() -> Iterator[None]:
    """A cluster whose two workers may take 400 MB together."""
    with fresh_session():
        driver = Driver.start(config(num_workers=2, resources={"CPU": 20_000}, memory_limit=400_000_000), "")
        session.current.backend = LocalBackend(driver.connection, driver.exchange, driver.welcome, driver)
        yield


@nbray.remote
def hoard(megabytes: int) -> int:
    """Take so much memory, a little at a time."""
    kept = []
    for _ in range(megabytes // 10):
        kept.append(b"x" * 10_000_000)
        time.sleep(0.01)
    time.sleep(0.2)
    return len(kept) * 10


def test_a_task_that_takes_all_memory_is_ended_by_name(limited: None) -> None:
    with pytest.raises(nbray.OutOfMemory, match=r"hoard was ended because the memory ran out: it had grown by \d+ MB"):
        nbray.get(hoard.remote(2000))
    assert nbray.get(hoard.remote(50)) == 50


def test_tasks_that_fit_one_by_one_all_end_well(limited: None) -> None:
    assert nbray.get([hoard.remote(250) for _ in range(4)]) == [250] * 4
