"""A seeded world around the scheduler: workers die and stall, links break, drivers cancel and leave, the store is full.

Two phases: faults, then calm. After the calm everything that was accepted must have ended, and after the last reference
nothing may be left. `python -m tests.scheduler.simulation --tier nightly` runs more of it; a failure prints its seed.

    I1  every accepted task has exactly one outcome, the same for everybody
    I2  an attempt runs once; no more attempts than 1 + max_retries
    I3  the items of a stream come in order, each exactly once, and all of them where it succeeds
    I4  resources: what is held and what is free add up at all times, and all is free in the end
    I5  the store's bytes are those of live objects; a held object's bytes are its own; nothing is left in the end
    I7  in calm, everything ends
    I12 the same seed gives the same events and actions, byte for byte
"""

from __future__ import annotations

import argparse
from collections import Counter

from nbray.scheduler.scheduler import Scheduler
from tests.scheduler.calm import Calm
from tests.scheduler.coverage import Coverage
from tests.scheduler.world import MakeScheduler, World


def run(seed: int, events: int, make_scheduler: MakeScheduler = Scheduler, coverage: Coverage | None = None) -> World:
    """One whole life, with so many events in its faulty phase; raises AssertionError or InternalError with the seed."""
    world = World(seed, make_scheduler, coverage)
    try:
        while world.events < events:
            world.step()
        Calm(world).come()
    except Exception as error:
        error.add_note(f"seed {seed}, {events} events, after {world.events} events; {world.options}")
        raise
    return world


def main() -> None:
    """Run many seeds and print what they covered."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--events", type=int, default=1000, help="events of the faulty phase")
    arguments = parser.parse_args()
    outcomes: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    events = 0
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        world = run(seed, arguments.events)
        outcomes += world.ledger.outcomes
        faults += world.seen
        events += world.events
    print(f"{arguments.seeds} seeds, {events:,} events; outcomes seen: {dict(outcomes)}; faults: {dict(faults)}")


if __name__ == "__main__":
    main()
