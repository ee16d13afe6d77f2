from __future__ import annotations

from collections import Counter
from itertools import islice

from tests.storm import faults
from tests.storm.faults import Done

PLAN = list(islice(faults.plan(7, 0.25), 20_000))


def test_the_same_seed_gives_the_same_plan() -> None:
    assert list(islice(faults.plan(7, 0.25), 100)) == PLAN[:100]
    assert list(islice(faults.plan(8, 0.25), 100)) != PLAN[:100]


def test_a_short_storm_has_each_kind_and_a_long_one_its_parts() -> None:
    assert {fault.kind for fault in PLAN[:60]} == set(faults.SHARES)
    counts, whole = Counter(fault.kind for fault in PLAN), sum(faults.SHARES.values())
    assert all(abs(counts[kind] / len(PLAN) - share / whole) < 0.02 for kind, share in faults.SHARES.items())


def test_a_minute_has_enough_kills() -> None:
    a_minute = round(60 / (sum(fault.pause for fault in PLAN) / len(PLAN)))
    kills = sum(fault.kind in (*faults.KILLS, *faults.ENDS_CLUSTER, "kill_notebook") for fault in PLAN[:a_minute])
    assert kills > 1.4 * 100


def test_stops_last_from_a_tenth_of_a_second_to_ten() -> None:
    stops = [fault.seconds for fault in PLAN if fault.kind == "stop_worker"]
    assert faults.SHORTEST_STOP <= min(stops) < 0.11
    assert 9 < max(stops) <= faults.LONGEST_STOP


def test_what_counts_as_a_kill() -> None:
    assert Done(1, "kill_worker", 1.0, pid=70, signal=9).kills
    assert Done(1, "kill_notebook", 1.0, pid=70, signal=9).kills
    assert not Done(1, "kill_worker", 1.0, note="nobody was there").kills
    assert not Done(1, "stop_worker", 1.0, pid=70, signal=19).kills
