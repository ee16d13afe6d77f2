"""Finding and hitting the processes of a real cluster from outside."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import nbray
from nbray import session
from nbray.engine.run_directory import parent
from tests.engine.local_cluster import processes, until
from tests.fakes import fresh_session
from tests.storm import family
from tests.storm.family import Family

pytestmark = pytest.mark.local


@pytest.fixture
def found() -> Iterator[Family]:
    with fresh_session():
        nbray.init(num_workers=2)
        nbray.get([nbray.apply_async(abs, (-1,)) for _ in range(4)])
        cluster = family.find(parent())
        assert cluster is not None
        yield cluster


def test_everybody_is_found_for_what_he_is(found: Family) -> None:
    backend = session.current_backend()
    zygote, (scheduler, *_) = processes(getattr(backend, "_driver"))  # noqa: B009 - the driver is nobody's business else
    workers = sorted(worker.pid for worker in backend.snapshot().workers)
    assert (found.supervisor, found.scheduler, found.workers) == (zygote.pid, scheduler.pid, workers)
    assert found.everybody == [zygote.pid, scheduler.pid, *workers]
    assert 5_000_000 < family.own_memory(found.scheduler) < 60_000_000


def test_where_no_cluster_is_none_is_found(tmp_path: Path) -> None:
    assert family.find(tmp_path) is None


def test_a_worker_is_killed_and_another_one_found(found: Family) -> None:
    victim = found.workers[0]
    assert not family.send(victim, signal.SIGKILL, family.worker_name(victim + 1)), "it is not the one that was meant"
    assert family.send(victim, signal.SIGKILL, family.worker_name(victim))
    assert until(lambda: not family.is_alive(victim))
    assert until(lambda: not family.send(victim, 0)), "until somebody has waited for it, it is still there to be signalled"
    assert nbray.get(nbray.apply_async(abs, (-1,))) == 1


def test_a_squeezed_process_is_loosened(found: Family) -> None:
    limits = family.squeeze(found.scheduler, 1)
    assert limits is not None
    assert nbray.get([nbray.apply_async(abs, (-1,)) for _ in range(4)]) == [1] * 4
    family.loosen(found.scheduler, limits)
    assert family.squeeze(found.scheduler, 10**6) == limits


def test_a_process_that_is_gone_is_nobody() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert not family.is_alive(process.pid)
    assert family.own_memory(process.pid) == 0
    assert family.squeeze(process.pid, 1) is None
    family.loosen(process.pid, (1, 1))
    assert not family.send(process.pid, 0)
    assert family.is_alive(os.getpid())
