"""Clusters of the local backend for its tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from nbray.backends.local import LocalBackend
from tests.contract.conftest import map_the_store
from tests.fakes import fresh_session


@contextlib.contextmanager
def cluster(**settings: Any) -> Iterator[LocalBackend]:
    with fresh_session() as current:
        current.backend = backend = LocalBackend.start(**{"num_workers": 1, **settings})
        map_the_store(backend)
        yield backend
