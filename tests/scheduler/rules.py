"""The same world, driven by hypothesis: it draws what happens next, and shortens a history that breaks a rule.

`python -m tests.scheduler.rules --examples 10000 --steps 200` runs more than the tests do.
"""

from __future__ import annotations

import argparse
import time

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.scheduler.calm import Calm
from tests.scheduler.simulated_faults import KINDS
from tests.scheduler.world import World

SEEDS = st.integers(0, 999)
"""What chance is reseeded with for each rule, so that a rule does the same wherever the shortened history has it."""


class Life(RuleBasedStateMachine):
    """One world from its beginning to its end."""

    def __init__(self) -> None:
        super().__init__()
        self._world: World | None = None
        self._broken = False

    @property
    def world(self) -> World:
        """The one of this example."""
        assert self._world is not None
        return self._world

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        """Draw how large it is, and what it is made of."""
        self._world = World(seed)

    @rule(seed=SEEDS, steps=st.integers(1, 12))
    def go_on(self, seed: int, steps: int) -> None:
        """Whatever moves, moves."""
        self._reseed(seed)
        for _ in range(steps):
            if not self.world.move():
                self.world.pass_time()
        self._broken = False

    @rule(seed=SEEDS, which=st.integers(0, 1))
    def use(self, seed: int, which: int) -> None:
        """A notebook does something."""
        self._reseed(seed)
        self.world.drivers[which].act()
        self._broken = False

    @rule(seed=SEEDS, kind=st.sampled_from(KINDS))
    def break_something(self, seed: int, kind: str) -> None:
        """One fault."""
        self._reseed(seed)
        self.world.faults.strike(kind)
        self._broken = False

    @rule()
    def wait(self) -> None:
        """Until the next deadline."""
        self._broken = True
        self.world.pass_time()
        self._broken = False

    @invariant()
    def everything_adds_up(self) -> None:
        """After each rule."""
        if self._world is not None:
            self._broken = True
            self._world.audit()
            self._broken = False

    def teardown(self) -> None:
        """Calm, unless a rule was broken before."""
        if self._world is not None and not self._broken:
            Calm(self._world).come()

    def _reseed(self, seed: int) -> None:
        self._broken = True
        self.world.random.seed(seed)


def live(examples: int, steps: int, *, derandomize: bool, shorten: bool = True) -> None:
    """Raise the shortest history that breaks a rule, if any is found; the first one unless it is to be shortened."""
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, derandomize=derandomize, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), print_blob=False,
        phases=[Phase.generate, Phase.shrink] if shorten else [Phase.generate],
    )  # fmt: skip
    run_state_machine_as_test(Life, settings=chosen)


def main() -> None:
    """Run so many examples of so many rules."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--examples", type=int, default=10_000, help="nightly: 10,000 of 200 steps; release: 100,000")
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    began = time.monotonic()
    live(arguments.examples, arguments.steps, derandomize=False)
    print(f"{arguments.examples:,} examples x {arguments.steps} steps, 0 violations, in {time.monotonic() - began:,.0f} s")


if __name__ == "__main__":
    main()
