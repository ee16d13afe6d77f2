import os
import subprocess
import sys

import pytest

from nbray.scheduler.scheduler import Scheduler
from tests.scheduler.planting import spoiled
from tests.scheduler.simulation import run

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
