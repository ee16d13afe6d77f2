"""The profile's accounts add up, and its table says where the time went."""

from __future__ import annotations

import os
import time

import pytest

from tests.benchmarks.profile import PARTIES, Account, Line, _process, lines, table


def test_the_account_of_a_process_grows_with_what_it_does() -> None:
    before = _process(os.getpid())
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    used = _process(os.getpid()).since(before, 2)
    assert 10_000 <= used.user + used.kernel <= 100_000


def test_the_table_adds_up() -> None:
    parties = dict.fromkeys(PARTIES, Account(20.0, 5.0, 1))
    assert table([Line("a task", 10, 250.0, parties)]).splitlines()[-1] == (
        "| a task | 20 + 5.0 | 20 + 5.0 | 20 + 5.0 | 20 + 5.0 | 100 | 250 | 4 |"
    )


@pytest.mark.slow
def test_each_party_uses_time_for_tasks_calls_and_items() -> None:
    measured = lines(0.2)
    assert len(measured) == 5
    for line in measured:
        assert line.wall > 0
        assert set(line.parties) == set(PARTIES)
        assert line.parties["scheduler"].user + line.parties["workers"].user > 0, line
