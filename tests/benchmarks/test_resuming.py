"""A search that is killed half-way goes on without training anything twice that had been told."""

from __future__ import annotations

import pytest

from tests.benchmarks.nbray_system import Nbray
from tests.benchmarks.peers import Executor
from tests.benchmarks.resuming import resumed
from tests.benchmarks.systems import Unsupported


@pytest.mark.local
@pytest.mark.slow
def test_no_epoch_is_trained_again_after_a_kill() -> None:
    measured = resumed(Nbray())
    assert measured.values == [0.0]
    assert "winner 0.99" in measured.note


def test_a_system_without_searches_says_so() -> None:
    with pytest.raises(Unsupported):
        resumed(Executor())
