"""What several tests of backends use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nbray.backends.local import LocalBackend
from tests.backends.local_lab import cluster


@pytest.fixture
def backend() -> Iterator[LocalBackend]:
    with cluster(num_workers=2, memory=64_000_000) as backend:
        yield backend
