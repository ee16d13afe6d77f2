"""What users and machines do to a cluster, and what is left of it: an error that says what happened, and nothing else."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import nbray
from nbray import session
from nbray.engine import run_directory
from tests.engine.local_cluster import is_gone, until
from tests.fakes import fresh_session

pytestmark = pytest.mark.local


@pytest.fixture
def cluster() -> Iterator[None]:
    """A small cluster of the test's own, with its store mapped."""
    with fresh_session():
        nbray.init(num_workers=2, memory=32_000_000)
        for _ in range(2):
            nbray.get(nbray.put(bytes(1_000_000)))
        yield


DRIVER = """
import os, subprocess, sys, time
import nbray

def escape():
    '''Children that ignore SIGTERM: a plain one, one in a session of its own, one without our mark, and a daemon.'''
    code = "import os, signal, time; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); time.sleep(300)"
    pids = []
    for how in ({}, {"start_new_session": True}, {"start_new_session": True, "env": {}}):
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, **how)
        pids.append(int(child.stdout.readline()))
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(write, b"%d" % os.getpid())
            time.sleep(300)
        os._exit(0)
    pids.append(int(os.read(read, 50)))
    os.wait()
    return os.getppid(), pids

nbray.init(num_workers=2)
zygote, pids = nbray.get(nbray.apply_async(escape))
nbray.apply_async(time.sleep, (300,))
print(zygote, *pids, flush=True)
time.sleep(300)
"""


def kill_driver(driver: subprocess.Popen[bytes], zygote: psutil.Process) -> None:
    driver.kill()


def kill_group(driver: subprocess.Popen[bytes], zygote: psutil.Process) -> None:
    os.killpg(driver.pid, signal.SIGKILL)


def terminate_driver(driver: subprocess.Popen[bytes], zygote: psutil.Process) -> None:
    driver.terminate()


def kill_zygote(driver: subprocess.Popen[bytes], zygote: psutil.Process) -> None:
    zygote.kill()


def kill_scheduler(driver: subprocess.Popen[bytes], zygote: psutil.Process) -> None:
    min(zygote.children(), key=lambda child: child.pid).kill()


@pytest.mark.parametrize("kill", [kill_driver, kill_group, terminate_driver, kill_zygote, kill_scheduler])
def test_whoever_is_killed_everything_is_gone(kill: Callable[[subprocess.Popen[bytes], psutil.Process], None]) -> None:
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root}
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, start_new_session=True
    )
    assert driver.stdout is not None
    zygote, *escaped = (int(pid) for pid in driver.stdout.readline().split())
    family = [zygote, *(child.pid for child in psutil.Process(zygote).children(recursive=True)), *escaped]
    kill(driver, psutil.Process(zygote))
    assert until(lambda: all(is_gone(pid) for pid in family), 2), [pid for pid in family if not is_gone(pid)]
    assert until(lambda: not list(run_directory.parent().glob("nbray-*")), 1)
    driver.kill()
    driver.communicate()


class TestWorkers:
    @pytest.mark.parametrize("end", ["os._exit(3)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 11)", "os.abort()"])
    def test_its_last_words_are_in_the_error(self, cluster: None, end: str) -> None:
        def work() -> None:
            print("one")
            print("two")
            sys.stderr.write("three\n")
            os.write(1, b"four\n")
            exec(end)

        with pytest.raises(nbray.WorkerDied) as error:
            nbray.get(nbray.apply_async(work))
        for word in ("work", "attempt 1", "worker", "one\ntwo\nthree", "four"):
            assert word in str(error.value)

    def test_another_one_is_there_in_a_moment(self, cluster: None) -> None:
        died = [nbray.apply_async(os._exit, (1,)) for _ in range(2)]
        nbray.wait(died, num_returns=2)
        started = time.monotonic()
        assert nbray.get(nbray.apply_async(abs, (-1,))) == 1
        assert time.monotonic() - started < 1

    def test_a_task_that_closes_its_standard_output_harms_nobody(self, cluster: None) -> None:
        def work() -> None:
            for descriptor in (1, 2):
                with contextlib.suppress(OSError):  # closed by the task before
                    os.close(descriptor)
            print("to nobody")

        assert nbray.get([nbray.apply_async(work) for _ in range(4)]) == [None] * 4
        assert nbray.get(nbray.apply_async(abs, (-1,))) == 1

    def test_exiting_a_task_does_not_exit_the_driver(self, cluster: None) -> None:
        with pytest.raises(nbray.RemoteError, match="SystemExit: 4"):
            nbray.get(nbray.apply_async(sys.exit, (4,)))

    def test_a_flood_of_output_leaves_the_driver_usable(self, cluster: None) -> None:
        seen: list[int] = []
        session.current_backend().on_output(lambda event: seen.append(len(event.data)))

        def work() -> int:
            return sum(len(text) for text in [print("x" * 1_000_000) or "line" for _ in range(100)])

        assert nbray.get(nbray.apply_async(work)) == 400
        assert sum(seen) < 600_000
        assert nbray.get(nbray.apply_async(abs, (-1,))) == 1


class TestStore:
    def test_full(self, cluster: None) -> None:
        kept = [nbray.get(nbray.put(np.ones(1_000_000))) for _ in range(3)]
        with pytest.raises(nbray.StoreFull, match=r"no room for 15\.\d+ MiB"):
            nbray.put(np.ones(2_000_000))
        with pytest.raises(nbray.StoreFull):
            nbray.get(nbray.apply_async(np.ones, (2_000_000,)))
        del kept
        assert nbray.get(nbray.put(np.ones(2_000_000))).sum() == 2_000_000

    def test_an_array_keeps_its_bytes_when_its_reference_has_gone(self, cluster: None) -> None:
        array = nbray.get(nbray.put(np.arange(1_000_000)))
        for _ in range(20):
            nbray.put(np.zeros(1_000_000))
        assert (array == np.arange(1_000_000)).all()


class TestProcesses:
    def test_a_forked_driver_is_refused_and_its_parent_goes_on(self, cluster: None) -> None:
        ref = nbray.put("value")
        pid = os.fork()
        if not pid:
            os._exit(refused_in_child(ref))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert nbray.get(ref) == "value"
        assert nbray.get(nbray.apply_async(abs, (-1,))) == 1

    def test_a_reference_of_a_cluster_that_is_gone(self, cluster: None) -> None:
        old = nbray.put(1)
        nbray.shutdown()
        nbray.init(num_workers=1)
        with pytest.raises(nbray.WrongCluster):
            nbray.get(old)
        with pytest.raises(nbray.WrongCluster):
            nbray.apply_async(abs, (old,))

    def test_workers_that_cannot_start_end_the_cluster_with_the_reason(self, cluster: None) -> None:
        backend: Any = session.current_backend()
        assert until(lambda: [worker.state for worker in backend.snapshot().workers] == ["idle"] * 2, 20)
        (backend._driver.directory / "scheduler.sock").rename(backend._driver.directory / "moved.sock")
        for ends in [nbray.apply_async(os._exit, (1,)) for _ in range(2)]:  # at once: the cluster ends soon after
            with pytest.raises(nbray.WorkerDied):
                nbray.get(ends)
        with pytest.raises(nbray.ClusterDied, match=r"workers in a row ended before they could start(.|\n)*FileNotFoundError"):
            nbray.get(nbray.apply_async(abs, (-1,)), timeout=10)
        assert nbray.get(nbray.apply_async(abs, (-1,))) == 1


def refused_in_child(ref: Any) -> int:
    for use in (lambda: nbray.put(1), lambda: nbray.get(ref), lambda: nbray.apply_async(abs, (-1,))):
        try:
            use()
        except nbray.NbrayError as error:
            if "forked" not in str(error):
                return 2
            continue
        return 3
    return 0
