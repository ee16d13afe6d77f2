import pytest

from tests.scheduler.planted_bugs import BUGS, EVENTS, look_for, read_table
from tests.scheduler.simulation import run

NEAR = 40
"""What a seed draws changes with the world, so where a bug's own seed has come to miss it, one of so many others must not."""


@pytest.mark.parametrize("name", BUGS)
def test_the_simulation_finds_a_planted_bug(name: str) -> None:
    own = read_table()[name]
    assert look_for(BUGS[name], [own, *range(own + 1, own + NEAR)]) is not None, "python -m tests.scheduler.planted_bugs --write"


@pytest.mark.parametrize("seed", sorted(set(read_table().values())))
def test_without_the_bugs_their_seeds_pass(seed: int) -> None:
    run(seed, EVENTS)


def test_there_are_enough_bugs_and_all_are_found() -> None:
    assert len(BUGS) >= 30
    assert read_table().keys() == BUGS.keys()
