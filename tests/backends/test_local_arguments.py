"""References and large values among arguments."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import nbray
from nbray.backends.backend import Backend, CallOptions
from nbray.errors import WrongCluster
from nbray.ids import BACKGROUND, ObjectId, Reference

pytestmark = pytest.mark.local


def test_a_reference_of_another_cluster_is_refused_as_an_argument(backend: Backend) -> None:
    ref = Reference()
    ref.id, ref.epoch = ObjectId(1), "gone"
    with pytest.raises(WrongCluster, match=r"belongs to another cluster \(gone\)"):
        backend.submit(len, (ref,), {}, CallOptions(), BACKGROUND)


def test_large_arguments_are_there_when_their_task_runs(backend: Backend) -> None:
    @nbray.remote
    def first(array: np.ndarray[Any, Any]) -> float:
        return float(array[0])

    stop = threading.Event()
    flusher = threading.Thread(target=lambda: [backend.snapshot() for _ in iter(stop.is_set, True)])
    flusher.start()  # each question sends all that waits, the end of references too
    try:
        assert nbray.get([first.remote(np.full(20_000, number)) for number in range(50)]) == list(range(50))
    finally:
        stop.set()
        flusher.join()
