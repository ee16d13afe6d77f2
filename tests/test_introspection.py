"""Resources and nodes as the cluster's snapshot has them."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

import nbray
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session(num_workers=3, num_gpus=0.5) as backend:
        yield backend


def test_resources() -> None:
    assert nbray.cluster_resources() == {"CPU": 3.0, "GPU": 0.5}
    assert nbray.available_resources() == {"CPU": 3.0, "GPU": 0.5}


def test_nodes(backend: FakeBackend) -> None:
    (node,) = nbray.nodes()
    assert (node["NodeID"], node["Alive"], node["NodeName"]) == (backend.epoch, True, socket.gethostname())
    assert node["Resources"] == nbray.cluster_resources()
    assert [worker["slot"] for worker in node["Workers"]] == [0, 1, 2]
