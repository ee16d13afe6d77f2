"""Every backend: waiting, time limits, cancelling what is queued, references and their end."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.backends.backend import Backend
from tests.contract.conftest import Gate, until


@nbray.remote
def echo(value: Any = None) -> Any:
    return value


@nbray.remote
def fail() -> None:
    raise LookupError("no")


# -------------------------------------------------------------------- waiting


def test_wait_returns_what_is_ready(backend: Backend, gate: Gate) -> None:
    done = [echo.remote(n) for n in range(3)]
    nbray.get(done)
    gate.close()
    queued = echo.remote(4)
    refs = [done[0], queued, *done[1:]]
    assert nbray.wait(refs, num_returns=4, timeout=0) == (done, [queued])
    assert nbray.wait(refs, num_returns=2, timeout=1) == (done[:2], [queued, done[2]])
    gate.open()
    assert nbray.wait(refs, num_returns=4) == (refs, [])


def test_wait_counts_failures(backend: Backend) -> None:
    ready, rest = nbray.wait([fail.remote(), echo.remote()], num_returns=2, timeout=30)
    assert (len(ready), rest) == (2, [])


def test_get_with_timeout_0(backend: Backend, gate: Gate) -> None:
    done = echo.remote(1)
    nbray.get(done)
    gate.close()
    queued = echo.remote(2)
    assert nbray.get(done, timeout=0) == 1
    with pytest.raises(nbray.GetTimeoutError):
        nbray.get([done, queued], timeout=0)


def test_get_raises_a_failure_before_the_rest_is_there(backend: Backend, gate: Gate) -> None:
    failed = fail.remote()
    nbray.wait([failed])
    gate.close()
    queued = echo.remote(1)
    with pytest.raises(LookupError, match="no"):
        nbray.get([queued, failed])
    assert nbray.wait([queued], timeout=0) == ([], [queued])


def test_as_completed(backend: Backend) -> None:
    refs = [echo.remote(n) for n in range(20)]
    assert {nbray.get(ref) for ref in nbray.as_completed(refs)} == set(range(20))


def test_states_and_sizes(backend: Backend, gate: Gate) -> None:
    stored, done, failed = nbray.put(b"x" * 500_000), echo.remote(1), fail.remote()
    nbray.wait([done, failed], num_returns=2)
    gate.close()
    queued = echo.remote(1)
    assert [backend.state(ref.id) for ref in (stored, done, failed, queued)] == ["ready", "ready", "failed", "pending"]
    assert (backend.size(stored.id) or 0) == pytest.approx(500_000, rel=0.01)
    assert backend.size(queued.id) is None
    assert "500 kB" in repr(stored)


def test_await(backend: Backend) -> None:
    async def main() -> Any:
        with pytest.raises(LookupError):
            await fail.remote()
        return await asyncio.gather(*(echo.remote(n) for n in range(5)), asyncio.sleep(0, "slept"))

    assert asyncio.run(main()) == [0, 1, 2, 3, 4, "slept"]


def test_futures_and_callbacks_may_use_nbray(backend: Backend) -> None:
    got: list[Any] = []
    finished = threading.Event()

    def callback(future: Any) -> None:
        got.append(nbray.get(echo.remote(future.result() + 1)))
        finished.set()

    echo.remote(1).future().add_done_callback(callback)
    assert finished.wait(30)
    assert got == [2]


def test_on_ready_calls_at_once_where_the_object_exists(backend: Backend) -> None:
    calls: list[str] = []
    done, failed = nbray.put(1), fail.remote()
    nbray.wait([failed])
    backend.on_ready(done.id, lambda: calls.append("done"))
    backend.on_ready(failed.id, lambda: calls.append("failed"))
    assert calls == ["done", "failed"]


# -------------------------------------------------------------------- cancelling what is queued


def test_a_queued_task_that_is_cancelled_never_runs(backend: Backend, gate: Gate, tmp_path: Any) -> None:
    finished = echo.remote(1)
    nbray.get(finished)
    gate.close()
    mark = tmp_path / "ran"
    queued = [nbray.apply_async(mark.touch) for _ in range(3)]
    assert nbray.cancel([*queued, finished]) == (3, 1, 0)
    assert nbray.cancel(queued).cancelled == 0
    gate.open()
    for ref in queued:
        with pytest.raises(nbray.TaskCancelledError):
            nbray.get(ref)
    nbray.get(echo.remote())
    assert not mark.exists()
    assert nbray.get(finished) == 1


def test_what_depends_on_a_cancelled_task_is_cancelled(backend: Backend, gate: Gate) -> None:
    gate.close()
    first = echo.remote(1)
    second = echo.remote(first)
    nbray.cancel(first)
    gate.open()
    with pytest.raises(nbray.TaskCancelledError):
        nbray.get(second)


# -------------------------------------------------------------------- references


def live_objects(backend: Backend) -> int:
    return backend.snapshot().store.objects


def all_but(backend: Backend, before: int) -> int:
    """How many objects more than `before` are there once all releases have arrived."""
    gc.collect()
    until(lambda: live_objects(backend) <= before, 2)
    return live_objects(backend) - before


def test_objects_end_with_their_last_reference(backend: Backend) -> None:
    before = live_objects(backend)
    refs = [nbray.put(np.zeros(50_000)), nbray.put("small"), echo.remote(np.zeros(50_000)), echo.remote("small"), fail.remote()]
    nbray.wait(refs, num_returns=5)
    assert live_objects(backend) > before
    del refs
    assert all_but(backend, before) == 0


def test_results_that_nobody_took_end_too(backend: Backend) -> None:
    before = live_objects(backend)
    for _ in range(20):
        echo.remote(np.zeros(20_000))
    nbray.get(echo.remote())
    assert all_but(backend, before) == 0


def test_an_array_outlives_its_reference(backend: Backend) -> None:
    before = live_objects(backend)
    array = nbray.get(nbray.put(np.arange(100_000)))
    part = array[10:20]
    del array
    for _ in range(20):
        nbray.put(np.full(100_000, -1))
    assert part.tolist() == list(range(10, 20))
    del part
    assert all_but(backend, before) == 0


def test_nested_references_live_as_long_as_what_holds_them(backend: Backend) -> None:
    before = live_objects(backend)
    outer = nbray.put([nbray.put({"deep": nbray.put(np.arange(50_000))})])
    again = echo.remote([outer])
    gc.collect()
    (middle,) = nbray.get(nbray.get(again)[0])
    assert nbray.get(nbray.get(middle)["deep"]).sum() == sum(range(50_000))
    del outer, again, middle
    assert all_but(backend, before) == 0


def test_a_queued_task_keeps_its_arguments(backend: Backend, gate: Gate) -> None:
    gate.close()
    result = echo.remote([nbray.put(np.ones(50_000))])
    other = echo.remote(nbray.put(np.ones(50_000)))
    gc.collect()
    gate.open()
    assert nbray.get(nbray.get(result)[0]).sum() == nbray.get(other).sum() == 50_000
