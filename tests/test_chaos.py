"""`nbray.chaos` on real clusters: each fault happens, is told, is over at the end, and meets nobody else."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import nbray
from nbray import chaos, session
from tests.engine.local_cluster import until
from tests.fakes import fresh_session

MAKERS: list[Callable[[], chaos.Chaos]] = [
    chaos.kill_workers, chaos.stall_workers, chaos.kill_scheduler, chaos.fill_store, chaos.slow_disk, chaos.full_disk,
    chaos.failing_disk,
]  # fmt: skip


@pytest.fixture
def cluster() -> Iterator[None]:
    with fresh_session():
        nbray.init(num_workers=2, memory=16_000_000)
        for _ in range(2):
            nbray.get(nbray.put(bytes(1_000_000)))
        yield


def pids() -> dict[int, int]:
    return {each.slot: each.pid for each in session.current_backend().snapshot().workers}


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize("kind", ["serial"])
def test_where_there_are_no_processes_it_is_refused(make: Callable[[], chaos.Chaos], kind: str) -> None:
    with fresh_session():
        nbray.init(kind)
        with pytest.raises(nbray.NotSupportedHere, match=r"nbray\.chaos: the backend 'serial'"), make():
            pass


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: chaos.kill_workers(0), r"every=0: expected a number of seconds above 0, for example every=0\.5"),
        (lambda: chaos.kill_workers("1"), r"every='1': expected a number of seconds"),  # type: ignore[arg-type]
        (lambda: chaos.kill_workers(times=0), "times=0: expected a whole number of at least 1, for example times=1"),
        (lambda: chaos.kill_workers(seed=0.5), "seed=0.5: expected a whole number, for example seed=1"),  # type: ignore[arg-type]
        (lambda: chaos.kill_workers(signal="SIGSTOP"), "signal='SIGSTOP': expected the name of one that ends a process"),
        (lambda: chaos.kill_workers(signal=9), "signal=9: expected the name"),  # type: ignore[arg-type]
        (lambda: chaos.kill_workers(task=print), 'expected the name of a task, for example task="train"'),  # type: ignore[arg-type]
        (lambda: chaos.stall_workers(seconds=float("inf")), "seconds=inf: expected a number of seconds above 0"),
        (lambda: chaos.kill_scheduler(-1), r"after=-1: expected a number of seconds, for example after=0\.5"),
        (lambda: chaos.fill_store("much"), "leaving='much'"),
        (lambda: chaos.slow_disk(0), "seconds=0: expected a number of seconds above 0"),
        (lambda: chaos.failing_disk(2), r"share=2: expected a number between 0 and 1, for example share=0\.1"),
    ],
)
def test_bad_input_is_refused_before_anything_happens(make: Callable[[], chaos.Chaos], message: str) -> None:
    with pytest.raises(nbray.UsageError, match=message):
        make()


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_one_block_is_for_one_with() -> None:
    once = chaos.full_disk(quiet=True)
    with once:
        pass
    with pytest.raises(nbray.UsageError, match=r"this nbray\.chaos\.full_disk\(\) was used already"), once:
        pass


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_a_task_may_not() -> None:
    def enter() -> None:
        with nbray.chaos.kill_workers():
            pass

    with pytest.raises(nbray.UsageError, match="inside a task: enter it in the notebook"):
        nbray.get(nbray.apply_async(enter))


# -------------------------------------------------------------------- workers


@nbray.remote(max_retries=-1)
def write_and_wait(folder: Path, number: int) -> int:
    with (folder / str(number)).open("a") as ledger:
        ledger.write(f"{os.getpid()}\n")
    time.sleep(0.15)
    return number


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_workers_are_killed_and_all_tasks_finish(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bystanders = {os.getpid(), *(child.pid for child in psutil.Process().children())}
    with chaos.kill_workers(every=0.1, seed=3, times=4) as done:
        got = nbray.get([write_and_wait.remote(tmp_path, number) for number in range(30)], timeout=50)
    assert got == list(range(30))
    assert len(done.faults) == 4
    assert {fault.task for fault in done.faults} == {"write_and_wait"}
    attempts = [line for file in tmp_path.iterdir() for line in file.read_text().split()]
    assert 30 <= len(attempts) <= 34
    assert all(psutil.pid_exists(pid) for pid in bystanders)
    said = capsys.readouterr().out
    assert said.startswith("nbray.chaos.kill_workers(seed=3): 4 faults in ")
    assert said.count("s  killed worker ") == 4
    assert repr(done) == f"<{said.splitlines()[0]}>"


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_only_what_is_named_is_hit_by_the_signal_that_is_named() -> None:
    spared = nbray.apply_async(time.sleep, (1.0,), name="spared")
    victim = nbray.apply_async(time.sleep, (30,), name="victim")
    with chaos.kill_workers(every=0.1, task="victim", signal="SIGSEGV", quiet=True) as done:
        with pytest.raises(nbray.WorkerDied, match="SIGSEGV"):
            nbray.get(victim)
        nbray.get(spared)
    assert [fault.task for fault in done.faults] == ["victim"]
    assert "sent SIGSEGV to worker" in done.faults[0].what


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_an_idle_actor_is_hit_where_idle_ones_are_meant() -> None:
    actor: Any = nbray.remote(Counter).options(max_restarts=1, max_task_retries=1).remote()
    assert nbray.get([actor.add.remote() for _ in range(3)]) == [1, 2, 3]
    with chaos.kill_workers(every=0.05, times=1, task="Counter", idle=True, quiet=True) as done:
        assert until(lambda: done.faults)
    assert nbray.get(actor.add.remote(), timeout=20) == 1
    nbray.kill(actor)


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_a_stalled_worker_goes_on_after_the_time() -> None:
    began = time.monotonic()
    with chaos.stall_workers(every=0.1, seconds=2.0, times=1, quiet=True) as done:
        nbray.get(nbray.apply_async(time.sleep, (0.6,)))
    assert time.monotonic() - began > 2.0
    assert "stalled worker" in done.faults[0].what
    assert done.faults[0].what.endswith("for 2 s")


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_at_the_end_of_the_block_all_go_on_at_once() -> None:
    task = nbray.apply_async(time.sleep, (0.3,))
    with chaos.stall_workers(every=0.05, seconds=300, times=1, quiet=True) as done:
        assert until(lambda: done.faults)
        (pid,) = [pid for pid in pids().values() if str(pid) in done.faults[0].what]
        assert until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    nbray.get(task, timeout=30)
    assert psutil.Process(pid).status() != psutil.STATUS_STOPPED


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_work_gets_done_however_often_workers_are_stalled() -> None:
    with chaos.stall_workers(every=0.05, seconds=0.2, quiet=True) as done:
        refs = [nbray.apply_async(time.sleep, (0.05,)) for _ in range(20)]
        assert until(lambda: len(nbray.wait(refs, num_returns=20, timeout=0.1)[0]) == 20, 30)
    assert done.faults


# -------------------------------------------------------------------- the scheduler


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_the_cluster_dies_and_the_next_use_has_a_fresh_one() -> None:
    old = session.current_backend().epoch
    with chaos.kill_scheduler(after=0.1, quiet=True) as done, pytest.raises(nbray.ClusterDied):
        nbray.get(nbray.apply_async(time.sleep, (60,)))
    assert [fault.what for fault in done.faults] == [f"killed the scheduler process of cluster {old}"]
    assert nbray.get(nbray.apply_async(abs, (-1,))) == 1
    assert session.current_backend().epoch != old


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_what_did_not_come_to_it_is_not_told() -> None:
    with chaos.kill_scheduler(after=600, quiet=True) as done:
        assert nbray.get(nbray.apply_async(abs, (-1,))) == 1
    assert done.faults == []
    assert nbray.get(nbray.apply_async(abs, (-1,))) == 1


# -------------------------------------------------------------------- store and disk


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_a_full_store_is_full_for_as_long_as_the_block_lasts() -> None:
    with chaos.fill_store(leaving="2MB", quiet=True) as done:
        small = nbray.put(np.ones(100_000))
        kept = nbray.get(small)
        with pytest.raises(nbray.StoreFull):
            nbray.put(np.ones(1_000_000))
        with pytest.raises(nbray.StoreFull):
            nbray.get(nbray.apply_async(np.ones, (1_000_000,)))
    assert done.faults[0].what == "took 13 MiB of the store's 15 MiB"
    assert nbray.get(nbray.put(np.ones(1_000_000))).sum() == 1_000_000
    assert kept.sum() == 100_000


def spill(count: int = 6) -> list[Any]:
    """More objects than the store has room for; the first ones go to disk."""
    return [nbray.put(np.full(500_000, number)) for number in range(count)]


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_a_full_disk_loses_nothing_and_the_store_says_why_it_is_full() -> None:
    with chaos.full_disk(quiet=True):
        kept = [nbray.put(np.full(500_000, number)) for number in range(3)]
        with pytest.raises(nbray.StoreFull, match=r"No space left on device \(nbray\.chaos\)"):
            spill()
        assert [int(nbray.get(ref)[0]) for ref in kept] == [0, 1, 2]


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_a_failing_disk_loses_by_name_and_only_what_it_could_not_read() -> None:
    refs = spill()
    del refs[2:]  # those that went to disk last are in the store still
    with chaos.failing_disk(1.0, seed=1, quiet=True):
        for ref in refs:
            with pytest.raises(nbray.ObjectLost, match=r"Input/output error \(nbray\.chaos\)"):
                nbray.get(ref)
    assert nbray.get(nbray.put(np.ones(500_000))).sum() == 500_000


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_a_slow_disk_is_slow_and_right() -> None:
    refs = spill()
    with chaos.slow_disk(0.5, quiet=True) as done:
        began = time.monotonic()
        assert int(nbray.get(refs[0])[0]) == 0
        assert time.monotonic() - began > 0.5
    assert "each object takes 0.5 s longer" in done.faults[0].what
    assert [int(nbray.get(ref)[0]) for ref in refs] == list(range(6))


# -------------------------------------------------------------------- all together


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_faults_can_be_combined_and_one_may_end_the_cluster_of_the_others() -> None:
    with contextlib.ExitStack() as all_of_them:
        for each in (
            chaos.fill_store(quiet=True), chaos.full_disk(quiet=True), chaos.stall_workers(every=0.1, seconds=9, quiet=True),
            chaos.kill_workers(every=0.1, quiet=True), chaos.kill_scheduler(after=0.5, quiet=True),
        ):  # fmt: skip
            all_of_them.enter_context(each)
        with pytest.raises(nbray.ClusterDied):
            nbray.get(nbray.apply_async(time.sleep, (60,), max_retries=-1))
        assert nbray.get(nbray.apply_async(abs, (-1,), max_retries=-1), timeout=30) == 1
    assert nbray.get(nbray.put(np.ones(1_000_000))).sum() == 1_000_000


def test_each_of_them_is_written_about() -> None:
    root = Path(__file__).parent.parent
    text = (root / "README.md").read_text() + (root / "notebooks" / "04_when_things_fail.ipynb").read_text()
    assert [make.__name__ for make in MAKERS if make.__name__ not in text] == []
    assert {make.__name__ for make in MAKERS} == set(chaos.__all__) - {"Chaos", "Fault"}
