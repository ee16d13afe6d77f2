"""One storm of a minute over a real cluster, as CI has it; longer ones: `python -m tests.storm --minutes 30`."""

from __future__ import annotations

import pytest

from tests.storm.controller import Storm, Tier
from tests.storm.verdict import judge

pytestmark = pytest.mark.local

SEED = 20261124
KILLS = 100


@pytest.mark.timeout(400)
def test_a_minute_of_faults() -> None:
    """Times are judged by the middle one: what else runs on the machine is not known here."""
    storm = Storm(SEED, Tier(seconds=60, kills=KILLS))
    passed = False
    try:
        verdict = judge(storm.run(), KILLS, strict_times=False)
        passed = verdict.passed
    finally:
        storm.places.remove(keep_records=not passed)
    print(verdict.table())
    complaints = "\n\n".join(verdict.violations or ["nothing is wrong, but it was no storm: is this machine busy with others?"])
    assert passed, f"seed {SEED}; ledger, journals, log of faults: {storm.places.root}\n{verdict.table()}\n\n{complaints}"
