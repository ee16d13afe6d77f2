"""Fixtures of the tests of Tune that run experiments on a real cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import nbray
from nbray import session
from nbray.tune import launch
from tests.fakes import fresh_session


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster of two workers for a file of tests, its store mapped."""
    with fresh_session():
        nbray.init(num_workers=2)
        nbray.get(nbray.put(bytes(1_000_000)))
        yield


@pytest.fixture
def leftovers() -> Iterator[None]:
    """An experiment that a failed test has left must not be in the way of the next."""
    yield
    if nbray.is_initialized() and session.current_backend().name == "local":
        for name in launch.running():
            nbray.kill(nbray.get_actor(launch.PREFIX + name))
