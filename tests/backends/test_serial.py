"""The serial backend: what only it does. All that it has in common with others is in tests/contract."""

from __future__ import annotations

import asyncio
import os
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

import nbray
from nbray import session
from nbray.backends.serial import SerialBackend
from tests.fakes import fresh_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[SerialBackend]:
    with fresh_session():
        nbray.init("serial", num_cpus=2)
        current = session.current_backend()
        assert isinstance(current, SerialBackend)
        yield current


@nbray.remote
def divide(x: float, y: float) -> float:
    return x / y


def test_a_task_runs_in_this_process_before_remote_returns() -> None:
    def look() -> tuple[int, int]:
        return os.getpid(), threading.get_ident()

    ref = nbray.remote(look).remote()
    assert "ready" in repr(ref)
    assert nbray.get(ref) == (os.getpid(), threading.get_ident())


def test_the_error_has_the_task_s_own_frames_for_a_debugger() -> None:
    ref = divide.remote(1, 0)
    with pytest.raises(ZeroDivisionError) as caught:
        nbray.get(ref)
    *_, last = traceback.walk_tb(caught.value.__traceback__)
    assert last[0].f_code.co_name == "divide"
    assert last[0].f_locals == {"x": 1, "y": 0}
    assert isinstance(caught.value, nbray.RemoteError)
    with pytest.raises(ZeroDivisionError) as again:
        nbray.get(ref)
    assert "return x / y" in str(again.value.__cause__)


def test_what_a_task_changes_in_place_changes_nothing_here() -> None:
    numbers = [1, 2]

    @nbray.remote
    def change(mine: list[int]) -> int:
        mine.append(3)
        numbers.append(4)
        return len(mine) + len(numbers)

    assert nbray.get(change.remote(numbers)) == 6
    assert numbers == [1, 2]


def test_a_task_s_exit_does_not_end_the_notebook() -> None:
    ref = nbray.remote(lambda: exit(3)).remote()
    with pytest.raises(nbray.RemoteError, match="SystemExit"):
        nbray.get(ref)


def test_an_interrupt_is_the_caller_s() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        nbray.remote(interrupted).remote()


def test_cancel_finds_everything_ended() -> None:
    refs = [divide.remote(1, 2) for _ in range(3)]
    assert nbray.cancel(refs) == (0, 3, 0)


def test_lists_and_resources() -> None:
    nbray.get(divide.options(name="listed").remote(1, 2))
    (row,) = nbray.list_tasks(name="listed")
    assert (row.state, row.worker) == ("FINISHED", "worker 0 (in this process)")
    kept = nbray.put("x" * 1000)
    assert nbray.list_objects()[0].object_id == kept.hex()
    assert [(row.pid, row.state) for row in nbray.list_workers()] == [(os.getpid(), "idle")]
    with pytest.raises(nbray.InfeasibleRequest, match="could never run"):
        divide.options(num_cpus=3).remote(1, 2)


def test_async_inside_a_running_loop() -> None:
    class Sleeper:
        async def nap(self, value: int) -> int:
            await asyncio.sleep(0)
            return value

    sleepers: Any = nbray.remote(Sleeper)

    async def cell() -> list[int]:
        sleeper = sleepers.remote()
        return [await sleeper.nap.remote(n) for n in range(3)]

    assert asyncio.run(cell()) == [0, 1, 2]


def test_shutdown_and_another_start(backend: SerialBackend) -> None:
    ref = divide.remote(1, 2)
    nbray.shutdown()
    assert backend.lost
    nbray.init("serial")
    with pytest.raises(nbray.WrongCluster):
        nbray.get(ref)


def test_what_it_is_called() -> None:
    assert repr(nbray.init("serial")).startswith("nbray: cluster serial")


def test_what_it_cannot_do_names_it() -> None:
    for impossible in (
        lambda: divide.options(runtime_env={"env_vars": {"A": "1"}}).remote(1, 2),
        lambda: nbray.util.placement_group([{"CPU": 1}]),
        lambda: nbray.scale(3),
        nbray.stack,
    ):
        with pytest.raises(nbray.NotSupportedHere, match="the backend 'serial'"):
            impossible()
    nbray.shutdown()
    with pytest.raises(nbray.NotSupportedHere, match="the backend 'serial'"):
        nbray.init("serial", runtime_env={"env_vars": {"A": "1"}})
