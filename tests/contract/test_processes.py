"""Every backend with processes of its own: what needs a clock, a signal or a death."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import nbray
from nbray import session
from nbray.backends.backend import Backend
from nbray.ids import BACKGROUND, CellRunId
from tests.contract.conftest import Gate, map_the_store, until
from tests.fakes import fresh_session

pytestmark = pytest.mark.usefixtures("real_backend")


@nbray.remote
def echo(value: Any = None) -> Any:
    return value


# -------------------------------------------------------------------- running tasks are stopped


def sleep(started: Path) -> None:
    started.touch()
    time.sleep(60)


def spin(started: Path) -> None:
    started.touch()
    while True:
        pass


def refuse_to_stop(started: Path) -> None:
    started.touch()
    while True:
        try:
            time.sleep(60)
        except:  # noqa: E722 - as users write it
            continue


def wait_for_child(started: Path) -> None:
    started.touch()
    subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"], check=True)


def await_forever(started: Path) -> None:
    started.touch()
    asyncio.run(asyncio.sleep(60))


def get_forever(started: Path) -> None:
    started.touch()
    nbray.get(nbray.apply_async(time.sleep, (60,)))


@pytest.mark.parametrize("work", [sleep, spin, refuse_to_stop, wait_for_child, await_forever])
@pytest.mark.parametrize("force", [False, True])
def test_a_running_task_is_cancelled_and_its_cpu_free(work: Callable[[Path], None], force: bool, tmp_path: Path) -> None:
    refs = [nbray.apply_async(work, (tmp_path / str(n),)) for n in range(2)]
    assert until(lambda: len(list(tmp_path.iterdir())) == 2)
    began = time.monotonic()
    report = nbray.cancel(refs, force=force)
    assert report.cancelled + report.stopping == 2
    for ref in refs:
        with pytest.raises(nbray.TaskCancelledError):
            nbray.get(ref, timeout=10)
    assert nbray.get([echo.remote(n) for n in range(2)], timeout=10) == [0, 1]
    assert time.monotonic() - began < 3


def test_a_cancelled_cell_run_takes_the_tasks_of_its_tasks_along(real_backend: Backend, tmp_path: Path) -> None:
    run = CellRunId("stopped")
    session.set_cell_run(run, "cell [3]")
    ref = nbray.apply_async(get_forever, (tmp_path / "started",))
    session.set_cell_run(BACKGROUND)
    assert until((tmp_path / "started").exists)
    assert until(lambda: any(each.running == 2 for each in real_backend.snapshot().cell_runs if each.cell_run == run))
    report = real_backend.cancel_cell_runs([run])
    assert report.cancelled + report.stopping == 2
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(ref, timeout=10)
    assert until(lambda: nbray.available_resources()["CPU"] == 2)


def test_an_interrupt_ends_the_wait_and_not_the_task(tmp_path: Path) -> None:
    ref = nbray.apply_async(time.sleep, (2,))
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        nbray.get(ref)
    assert time.monotonic() - began < 1.8
    assert nbray.get(ref, timeout=10) is None


def test_an_interrupt_ends_an_await() -> None:
    async def main() -> None:
        await ref

    ref = nbray.apply_async(time.sleep, (2,))
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert time.monotonic() - began < 1.8
    nbray.get(ref, timeout=10)


def test_a_task_with_a_timeout_is_ended() -> None:
    ref = nbray.apply_async(time.sleep, (60,), timeout=0.3)
    began = time.monotonic()
    with pytest.raises(nbray.TaskTimeout):
        nbray.get(ref, timeout=10)
    assert time.monotonic() - began < 3
    assert nbray.get(nbray.apply_async(abs, (1,), timeout=30), timeout=10) == 1


# -------------------------------------------------------------------- waiting


def test_get_waits_no_longer_than_told(gate: Gate) -> None:
    gate.close()
    ref = echo.remote(1)
    started = time.monotonic()
    with pytest.raises(nbray.GetTimeoutError, match=r"after 0.2 s, 1 of 2 values are not there: echo"):
        nbray.get([nbray.put(1), ref], timeout=0.2)
    assert 0.15 < time.monotonic() - started < 1
    gate.open()
    assert nbray.get(ref, timeout=30) == 1


def test_on_ready_calls_once_when_the_object_comes(real_backend: Backend, gate: Gate) -> None:
    calls: list[str] = []
    gate.close()
    later = echo.remote(1)
    real_backend.on_ready(later.id, lambda: calls.append("later"))
    assert calls == []
    gate.open()
    nbray.get(later)
    assert until(lambda: calls != [])
    assert calls == ["later"]


def test_threads_share_the_session() -> None:
    results: list[int] = []

    def work(start: int) -> None:
        results.extend(nbray.get([echo.remote(n) for n in range(start, start + 50)]))

    threads = [threading.Thread(target=work, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [100 * a + b for a in range(4) for b in range(50)]


# -------------------------------------------------------------------- nesting


def test_awaiting_tasks_never_deadlock() -> None:
    def parent(depth: int) -> int:
        async def main() -> int:
            if not depth:
                return 1
            return sum(await asyncio.gather(*(nbray.apply_async(parent, (depth - 1,)) for _ in range(3))))

        return asyncio.run(main())

    assert nbray.get([nbray.apply_async(parent, (2,)) for _ in range(2)], timeout=50) == [9, 9]


def test_a_map_inside_tasks_on_every_cpu() -> None:
    def parent(n: int) -> int:
        return sum(nbray.map(abs, range(n)))

    assert nbray.get([nbray.apply_async(parent, (100,)) for _ in range(4)], timeout=50) == [4950] * 4


def test_as_completed_and_wait_inside_tasks() -> None:
    def parent() -> list[int]:
        refs = [echo.remote(n) for n in range(5)]
        ready, _ = nbray.wait(refs, num_returns=5)
        return sorted(nbray.get(ref) for ref in nbray.as_completed(ready))

    assert nbray.get([nbray.apply_async(parent) for _ in range(3)], timeout=50) == [[0, 1, 2, 3, 4]] * 3


def test_a_task_is_in_a_cluster_already() -> None:
    for misuse in (nbray.init, nbray.shutdown):
        with pytest.raises(nbray.UsageError, match="was called inside a task"):
            nbray.get(nbray.apply_async(misuse))
    assert nbray.get(nbray.apply_async(nbray.is_initialized)) is True


def test_workers_draw_different_random_numbers(tmp_path: Path) -> None:
    def draw(mine: Path, other: Path) -> float:
        mine.touch()
        while not other.exists():
            time.sleep(0.005)
        return random.random()

    a, b = tmp_path / "a", tmp_path / "b"
    one, two = nbray.get([nbray.apply_async(draw, (a, b)), nbray.apply_async(draw, (b, a))], timeout=20)
    assert one != two


def test_code_that_forks_inside_a_task() -> None:
    def square(x: int) -> int:
        return x * x

    def use_a_pool() -> list[int]:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            return pool.map(abs, [-1, -2])

    def use_nbray_in_a_child() -> str:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                nbray.put(1)
            except nbray.UsageError as error:
                os.write(writer, str(error).encode())
            os._exit(0)
        os.close(writer)
        os.waitpid(child, 0)
        with os.fdopen(reader) as answer:
            return answer.read()

    assert nbray.get(nbray.apply_async(use_a_pool), timeout=20) == [1, 2]
    assert "this process was forked from one that uses nbray" in nbray.get(nbray.apply_async(use_nbray_in_a_child), timeout=20)
    assert nbray.get(nbray.apply_async(square, (3,)), timeout=20) == 9


# -------------------------------------------------------------------- deaths


def die_by(number: int) -> None:
    print("last words", flush=True)
    os.kill(os.getpid(), number)
    time.sleep(10)


@pytest.mark.parametrize(
    ("work", "args", "said"),
    [(os._exit, (3,), "exit code 3"), (die_by, (signal.SIGKILL,), "SIGKILL"), (die_by, (signal.SIGSEGV,), "SIGSEGV")],
)
def test_a_worker_that_dies_takes_only_its_task_along(work: Any, args: tuple[Any, ...], said: str) -> None:
    innocent = [echo.remote(n) for n in range(20)]
    doomed = nbray.apply_async(work, args)
    innocent += [echo.remote(n) for n in range(20)]
    with pytest.raises(nbray.WorkerDied, match=said) as error:
        nbray.get(doomed, timeout=10)
    assert nbray.get(innocent, timeout=10) == [*range(20), *range(20)]
    if work is die_by:
        assert "last words" in str(error.value)


@pytest.mark.parametrize("retries", [0, 2])
def test_what_had_ended_before_a_worker_died_is_not_blamed_and_not_repeated(retries: int, tmp_path: Path) -> None:
    """Results of short tasks leave together: those that wait for company when the next task takes the worker down."""

    def short(number: int, ledger: Path) -> int:
        with ledger.open("a") as file:
            file.write(f"{number}\n")
        if number % 50 == 13:
            signal.raise_signal(signal.SIGKILL)
        return number

    refs = [nbray.apply_async(short, (number, tmp_path / "ledger"), max_retries=retries) for number in range(300)]
    died = []
    for number, ref in enumerate(refs):
        try:
            assert nbray.get(ref, timeout=30) == number
        except nbray.WorkerDied:
            died.append(number)
    assert died == [13, 63, 113, 163, 213, 263]
    attempts = Counter(int(line) for line in (tmp_path / "ledger").read_text().split())
    assert attempts == {number: 1 + retries if number in died else 1 for number in range(300)}


def test_a_task_is_run_again_where_that_was_asked_for(tmp_path: Path) -> None:
    def die_twice(path: Path) -> int:
        attempts = len(path.read_text()) if path.exists() else 0
        path.write_text("x" * (attempts + 1))
        if attempts < 2:
            os._exit(1)
        return attempts

    assert nbray.get(nbray.apply_async(die_twice, (tmp_path / "a",), max_retries=2), timeout=20) == 2
    with pytest.raises(nbray.WorkerDied):
        nbray.get(nbray.apply_async(die_twice, (tmp_path / "b",)), timeout=20)


@pytest.fixture
def own_cluster() -> Iterator[Backend]:
    """A cluster of its own for what ends it."""
    with fresh_session():
        nbray.init(num_workers=1)
        map_the_store(session.current_backend())
        yield session.current_backend()


def scheduler_process(backend: Backend) -> psutil.Process:
    """The first child of the zygote."""
    zygote = psutil.Process(backend.snapshot().workers[0].pid).parent()
    assert zygote is not None
    return min(zygote.children(), key=psutil.Process.create_time)


def test_every_wait_ends_when_the_scheduler_dies_and_the_next_use_starts_anew(own_cluster: Backend) -> None:
    ref = nbray.apply_async(time.sleep, (30,))
    threading.Timer(0.2, scheduler_process(own_cluster).kill).start()
    began = time.monotonic()
    with pytest.raises(nbray.ClusterDied):
        nbray.get(ref)
    assert time.monotonic() - began < 1.2
    with pytest.raises(nbray.ClusterDied):
        nbray.get(ref)
    assert "gone with its cluster" in repr(ref)
    assert nbray.get(echo.remote(5)) == 5
    with pytest.raises(nbray.WrongCluster, match="run the cell that made it again"):
        nbray.get(ref)


def test_a_closed_cluster_refuses_politely(own_cluster: Backend) -> None:
    ref = echo.remote(1)
    nbray.get(ref)
    nbray.shutdown()
    with pytest.raises(nbray.WrongCluster):
        nbray.get(ref)
    with pytest.raises(nbray.ClusterDied):
        own_cluster.snapshot()
    own_cluster.release(ref.id)
    own_cluster.close()
