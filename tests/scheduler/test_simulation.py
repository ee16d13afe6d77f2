import os
import re
import subprocess
import sys

import pytest

from nbray.scheduler.pool import Pool
from nbray.scheduler.scheduler import Scheduler
from tests.scheduler.coverage import all_moves, all_pairs
from tests.scheduler.planting import spoiled
from tests.scheduler.simulation import run, run_seeds, tell
from tests.scheduler.unreachable import unreachable

EVENTS = 400


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_every_rule_holds_whatever_goes_wrong(first: int) -> None:
    """A taste: `python -m tests.scheduler.simulation` runs 2,000 seeds, and so does the stage `simulation` of tests/run."""
    for seed in range(first, first + 20):
        run(seed, EVENTS)


def test_the_same_seed_gives_the_same_events_and_actions() -> None:
    digests = [[run(seed, EVENTS).digest.hexdigest() for seed in range(5)] for _ in range(2)]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 5


@pytest.mark.local
def test_another_process_with_other_string_hashes_gives_the_same() -> None:
    code = "from tests.scheduler.simulation import run; print([run(seed, 400).digest.hexdigest() for seed in range(3)])"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def test_the_simulation_sees_a_scheduler_that_is_not_deterministic() -> None:
    def by_address(scheduler: Scheduler) -> None:
        def first(candidates: dict[int, object], order: object) -> list[object]:
            return sorted(candidates.values(), key=lambda thing: os.urandom(4))

        scheduler._turns._in_order = first  # type: ignore[method-assign, assignment]

    digests = [[run(seed, EVENTS, spoiled(by_address)).digest.hexdigest() for seed in range(10)] for _ in range(2)]
    assert digests[0] != digests[1]


def test_no_pair_occurs_that_is_thought_unreachable() -> None:
    report = run_seeds(0, 12, EVENTS)
    assert not report.failures
    assert [pair for pair in report.met if unreachable(pair)] == []
    assert len(report.met.keys() & all_pairs()) > 120
    assert len(report.moved.keys() & all_moves()) > 25


def test_a_broken_rule_is_told_with_its_seed_and_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Pool, "release", lambda pool, worker: None)
    report = run_seeds(0, 5, EVENTS)
    assert not tell(report, 1.0, "")
    told = capsys.readouterr().out
    assert "violations                           0             1" in told
    assert re.search(r"seed \d, 400 events, after \d+ events; \d CPUs, .*faults: {'kill'", told)


def test_a_tier_must_cover_what_it_is_meant_to(capsys: pytest.CaptureFixture[str]) -> None:
    assert not tell(run_seeds(0, 1, 10), 1.0, "pull-request")
    told = capsys.readouterr().out
    assert "never met: [('actor', 'ALIVE', 'Blocked')" in told
    assert "never moved: [" in told
