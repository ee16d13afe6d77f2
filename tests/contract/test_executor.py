"""Every backend with processes: nbray.Executor."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import time
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray.backends.backend import Backend
from tests.contract.conftest import Gate, until
from tests.fakes import fresh_session

pytestmark = pytest.mark.usefixtures("real_backend")


def invert(x: int) -> float:
    return 1 / x


def hold_until(started: Path, opened: Path) -> str:
    started.touch()
    while not opened.exists():
        time.sleep(0.005)
    return "done"


def test_many_small_calls() -> None:
    with nbray.Executor() as executor:
        futures = [executor.submit(abs, -n) for n in range(3000)]
        assert [future.result() for future in futures] == list(range(3000))
        assert sum(executor.map(abs, range(-1000, 0), chunksize=100)) == 500_500


def test_exceptions_have_their_remote_traceback() -> None:
    with nbray.Executor() as executor, pytest.raises(ZeroDivisionError) as error:
        executor.submit(invert, 0).result()
    assert "return 1 / x" in str(error.value.__cause__)


def test_running_and_cancel_tell_the_truth(tmp_path: Path) -> None:
    started, opened = tmp_path / "started", tmp_path / "opened"
    with nbray.Executor(num_cpus=2) as executor:
        first = executor.submit(hold_until, started, opened)
        queued = [executor.submit(hold_until, started, opened) for _ in range(3)]
        assert until(started.exists)
        assert (first.running(), queued[0].running()) == (True, False)
        assert (first.cancel(), queued[0].cancel()) == (False, True)
        assert queued[0].cancelled()
        executor.shutdown(wait=False, cancel_futures=True)
        opened.touch()
        assert first.result() == "done"
        assert concurrent.futures.wait(queued, timeout=10).not_done == set()
        assert all(each.cancelled() for each in queued)


def test_shutdown_waits_for_what_was_submitted(gate: Gate) -> None:
    gate.close()
    executor = nbray.Executor()
    futures = [executor.submit(abs, -n) for n in range(10)]
    executor.shutdown(wait=False)
    assert not any(each.done() for each in futures)
    gate.open()
    executor.shutdown()
    assert all(each.done() for each in futures)


def test_no_more_run_at_once_than_asked_for(tmp_path: Path) -> None:
    def alone(n: int) -> int:
        lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_EXCL)
        time.sleep(0.01)
        os.close(lock)
        (tmp_path / "lock").unlink()
        return n

    with nbray.Executor(max_workers=1) as executor:
        assert list(executor.map(alone, range(5))) == list(range(5))


def test_the_initializer_runs_once_in_each_worker(tmp_path: Path) -> None:
    def note(folder: Path) -> None:
        with (folder / str(os.getpid())).open("a") as file:
            file.write("x")

    def work(n: int) -> int:
        time.sleep(0.02)
        return os.getpid()

    with nbray.Executor(initializer=note, initargs=(tmp_path,)) as executor:
        workers = set(executor.map(work, range(8)))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {str(pid): "x" for pid in workers}


def test_executors_inside_of_tasks_never_deadlock(real_backend: Backend) -> None:
    def both_ways(n: int) -> Any:
        with nbray.Executor(num_cpus=2) as executor:
            futures = [executor.submit(abs, -n), executor.submit(abs, -n)]
            concurrent.futures.wait(futures)
            return sum(each.result() for each in futures) + sum(executor.map(abs, [-n, -n]))

    with nbray.Executor(num_cpus=2) as executor:
        assert list(executor.map(both_ways, [1, 2])) == [4, 8]


def test_asyncio_cancels_what_has_not_begun(gate: Gate, real_backend: Backend) -> None:
    async def run(executor: nbray.Executor) -> None:
        loop = asyncio.get_running_loop()
        gate.close()
        waiting = loop.run_in_executor(executor, abs, -1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(waiting, 0.1)
        assert real_backend.snapshot().queued == 0
        gate.open()
        assert await loop.run_in_executor(executor, abs, -5) == 5

    with nbray.Executor() as executor:
        asyncio.run(run(executor))


def test_calls_die_with_their_cluster(tmp_path: Path) -> None:
    with fresh_session():
        nbray.init(num_workers=1)
        executor, one_by_one = nbray.Executor(), nbray.Executor(max_workers=1, num_cpus=0.5)
        futures = [executor.submit(time.sleep, 60), *(one_by_one.submit(time.sleep, 60) for _ in range(3))]
        nbray.shutdown()
        assert [type(future.exception(10)) for future in futures] == [nbray.ClusterDied] * 4
        executor.shutdown()
        one_by_one.shutdown()
        assert not nbray.is_initialized(), "no other one was started for those that had to wait"


def test_stop_of_the_cell_cancels_the_futures(gate: Gate, real_backend: Backend) -> None:
    gate.close()
    executor = nbray.Executor()
    future = executor.submit(abs, -1)
    real_backend.cancel([future.place[1]] if future.place else [])
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(10)
    executor.shutdown()
