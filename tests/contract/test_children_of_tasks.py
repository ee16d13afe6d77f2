"""Every backend with processes: tasks that fork, start processes and threads; a notebook that forks while it is connected.

Nothing hangs, what they leave behind ends with their worker, and no child can speak for its parent.
"""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray.backends.backend import Backend
from tests.contract.conftest import until
from tests.engine.local_cluster import is_gone


def as_task(work: Any, *args: Any) -> Any:
    return nbray.get(nbray.apply_async(work, args), timeout=50)


def pids(backend: Backend) -> set[int]:
    return {each.pid for each in backend.snapshot().workers if each.pid}


# -------------------------------------------------------------------- processes


def use_a_pool(method: str) -> list[int]:
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(abs, [-1, -2, -3])


def use_an_executor(method: str) -> list[int]:
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        return list(executor.map(abs, [-1, -2, -3]))


@pytest.mark.slow
@pytest.mark.usefixtures("real_backend")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("work", [use_a_pool, use_an_executor])
def test_multiprocessing_in_a_task(work: Any, method: str) -> None:
    assert as_task(work, method) == [1, 2, 3]


@pytest.mark.usefixtures("real_backend")
def test_a_subprocess_in_a_task() -> None:
    def run() -> str:
        return subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True, check=True).stdout

    assert as_task(run) == "42\n"


def fork_and_wait(ending: str) -> int:
    """A child that ends as its code says; returns how."""
    child = os.fork()
    if child == 0:
        if ending == "exit":
            os._exit(7)
        elif ending == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("a child that goes on as if it were the task")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(("ending", "code"), [("exit", 7), ("killed", -9)])
def test_a_child_that_ends(ending: str, code: int, real_backend: Backend) -> None:
    as_task(abs, -1)
    before = pids(real_backend)
    assert as_task(fork_and_wait, ending) == code
    assert before <= pids(real_backend)


@pytest.mark.usefixtures("real_backend")
def test_a_hundred_forks_hang_nobody() -> None:
    refs = [nbray.apply_async(fork_and_wait, ("exit",)) for _ in range(100)]
    assert nbray.get(refs, timeout=50) == [7] * 100


def test_a_child_that_returns_from_the_task_is_not_heard(real_backend: Backend) -> None:
    """It has the code of the worker behind it, but not its connection: what it says must not count."""

    def fork_and_return() -> str:
        return "child" if os.fork() == 0 else "parent"

    for _ in range(5):
        assert as_task(fork_and_return) == "parent"
    assert as_task(abs, -1) == 1


def speak_as_child() -> list[str]:
    """What a forked child hears that uses nbray in every way."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        for use in (lambda: nbray.put(1), lambda: nbray.get(nbray.apply_async(abs, (-1,))), nbray.cluster_resources):
            try:
                use()
                said.append("it could")
            except nbray.NbrayError as error:
                said.append(str(error).split(",")[0])
        os.write(writer, "|".join(said).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as answer:
        return answer.read().split("|")


@pytest.mark.usefixtures("real_backend")
def test_a_child_cannot_use_the_connection_of_its_parent() -> None:
    assert as_task(speak_as_child) == ["this process was forked from one that uses nbray"] * 3
    assert speak_as_child() == ["this process was forked from one that uses nbray"] * 3
    assert as_task(abs, -1) == 1


def leave_a_child(folder: Path) -> int:
    child = os.fork()
    if child == 0:
        time.sleep(300)
        os._exit(0)
    (folder / "child").write_text(str(child))
    return os.getpid()


@pytest.mark.usefixtures("real_backend")
def test_a_child_that_is_left_goes_with_its_worker_and_hides_its_death_from_nobody(tmp_path: Path) -> None:
    """It holds the worker's descriptors open: the worker's end must be noticed all the same."""

    def leave_a_child_and_die() -> None:
        leave_a_child(tmp_path)
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(nbray.WorkerDied, match="SIGKILL"):
        as_task(leave_a_child_and_die)
    child = int((tmp_path / "child").read_text())
    assert until(lambda: is_gone(child))
    assert as_task(abs, -1) == 1


# -------------------------------------------------------------------- threads


@pytest.mark.parametrize("daemon", [True, False])
def test_a_thread_that_goes_on_holds_nobody_up(daemon: bool, real_backend: Backend) -> None:
    def leave_a_thread() -> int:
        threading.Thread(target=time.sleep, args=(300,), daemon=daemon).start()
        return os.getpid()

    pid = as_task(leave_a_thread)
    assert pid in pids(real_backend)
    assert [as_task(abs, -number) for number in range(5)] == list(range(5))


FORKS_AND_ENDS = """
import os, sys, threading
import nbray
nbray.init(num_workers=1)
ref = nbray.put("value")
child = os.fork()
if child == 0:
    sys.exit(0)  # with all that runs at exit: it must not end the cluster of its parent
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert nbray.get(ref) == "value"
assert nbray.get(nbray.apply_async(abs, (-1,)), timeout=30) == 1
def leave():
    threading.Thread(target=__import__("time").sleep, args=(300,)).start()
nbray.get(nbray.apply_async(leave))
print("parent", flush=True)
"""


@pytest.mark.local
def test_a_forked_driver_that_exits_leaves_its_parent_the_cluster_and_threads_of_tasks_hold_up_no_end() -> None:
    root = str(Path(__file__).parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", FORKS_AND_ENDS], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": root}, timeout=50
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "parent\n", "")
