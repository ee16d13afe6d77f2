"""Whatever tasks pour over it, the scheduler's loop turns, the kernel answers, memory stays bounded, and results are right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.floods.floods import CHANGES, FLOODS, Flood
from tests.floods.shore import Shore, shore
from tests.floods.stopped_driver import sleep_through

pytestmark = [pytest.mark.local, pytest.mark.slow]


@pytest.fixture(scope="module")
def lands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shore]:
    with shore(tmp_path_factory.mktemp("shore")) as lands:
        yield lands


@pytest.mark.parametrize("flood", FLOODS, ids=lambda flood: flood.name)
def test_all_goes_on(lands: Shore, flood: Flood) -> None:
    assert lands.pour(flood, flood.quick).wrong() == []


def test_all_goes_on_while_watchers_do_not_read(lands: Shore) -> None:
    with lands.watched_by_nobody():
        assert lands.pour(CHANGES, CHANGES.quick).wrong() == []


def test_all_goes_on_while_a_driver_does_not_read() -> None:
    slept = sleep_through(1000, 200_000)
    assert slept.wrong() == []
    assert any("not shown" in line for line in slept.woken.told), "more was printed than may wait"
