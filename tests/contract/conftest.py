"""The backends that keep the contract, each with a cluster of two CPUs that the tests of a module share."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import session
from nbray.backends.backend import Backend
from nbray.objects import ObjectRef
from tests.fakes import FakeBackend, fresh_session

REAL = [pytest.param("local", marks=pytest.mark.local)]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where a task runs at once nothing can be queued: tests with a gate are none of the serial backend's."""
    impossible = [item for item in items if "gate" in getattr(item, "fixturenames", ()) and kind_of(item) == "serial"]
    items[:] = [item for item in items if item not in impossible]
    config.hook.pytest_deselected(items=impossible)


def kind_of(item: pytest.Item) -> str:
    spec = getattr(item, "callspec", None)
    return str(spec.params.get("backend", "")) if spec is not None else ""


def started(kind: str) -> Iterator[Backend]:
    with fresh_session() as current:
        if kind == "fake":
            current.backend = FakeBackend(num_workers=2)
        elif kind == "serial":
            nbray.init("serial", num_workers=2)
        else:
            nbray.init(num_workers=2)
            map_the_store(session.current_backend())
        yield session.current_backend()


def map_the_store(backend: Backend) -> None:
    """It is mapped at first use, for reading, writing and writing again: what that opens belongs to the cluster."""
    for _ in range(2):
        nbray.get(nbray.put(bytes(1_000_000)))
        assert until(lambda: backend.snapshot().store.objects == 0)


@pytest.fixture(scope="module", params=["fake", "serial", *REAL])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Every backend."""
    yield from started(request.param)


@pytest.fixture(scope="module", params=REAL)
def real_backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Those with processes of their own, where tasks run while the driver does something else."""
    yield from started(request.param)


class Gate:
    """While it is closed, a task holds all CPUs, so that what is submitted behind it stays queued."""

    def __init__(self, folder: Path) -> None:
        self._opened = folder / "opened"
        self._started = folder / "started"
        self._task: ObjectRef | None = None

    def close(self) -> None:
        self._task = nbray.apply_async(hold_until, (self._started, self._opened), num_cpus=2)
        while not self._started.exists() and session.current_backend().name != "fake":
            time.sleep(0.005)

    def open(self) -> None:
        if self._task is not None:
            self._opened.touch()
            nbray.get(self._task)


def hold_until(started: Path, opened: Path) -> None:
    started.touch()
    while not opened.exists():
        time.sleep(0.005)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path)
    yield gate
    gate.open()


def until(condition: Any, seconds: float = 5.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
