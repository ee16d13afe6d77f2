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
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

from nbray.scheduler.scheduler import Scheduler
from tests.scheduler.calm import Calm
from tests.scheduler.coverage import MACHINES, Coverage, Pair, all_moves, all_pairs, matrix
from tests.scheduler.unreachable import rare, unreachable
from tests.scheduler.world import MakeScheduler, World

TIERS = {"pull-request": 2_000, "nightly": 50_000, "release": 500_000}
"""Seeds, of 2,000 events each."""
PORTION = 20
"""Seeds that a process runs at a time."""


def run(seed: int, events: int, make_scheduler: MakeScheduler = Scheduler, coverage: Coverage | None = None) -> World:
    """One whole life of about so many events, a tenth of them in calm; raises AssertionError or InternalError with the seed."""
    world = World(seed, make_scheduler, coverage)
    try:
        while world.events < 0.9 * events:
            world.step()
        Calm(world).come()
    except Exception as error:
        error.add_note(f"seed {seed}, {events} events, after {world.events} events; {world.options}")
        raise
    return world


class Report(NamedTuple):
    """What some seeds came to."""

    seeds: int = 0
    events: int = 0
    outcomes: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    met: Counter[Pair] = Counter()
    moved: Counter[Pair] = Counter()
    failures: tuple[str, ...] = ()

    def __add__(self, other: Report) -> Report:  # type: ignore[override]
        return Report(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))  # type: ignore[operator]


def run_seeds(first: int, count: int, events: int) -> Report:
    """Run neighbouring seeds, up to the first that breaks a rule."""
    coverage, outcomes, seen = Coverage(), Counter[str](), Counter[str]()
    done, failures = 0, tuple[str, ...]()
    with coverage.moves():
        for seed in range(first, first + count):
            try:
                world = run(seed, events, coverage=coverage)
            except Exception:  # noqa: BLE001 - whatever it is, it goes into the report with its seed
                failures = (traceback.format_exc(limit=-6),)
                break
            done += world.events
            outcomes += world.ledger.outcomes
            seen += world.seen
    return Report(count, done, outcomes, seen, coverage.met, coverage.moved, failures)


def run_all(first: int, count: int, events: int, processes: int) -> Report:
    """The same in several processes at a time; what was not begun when one has failed is left out."""
    total = Report()
    starts = range(first, first + count, PORTION)
    with ProcessPoolExecutor(processes) as pool:
        portions = [pool.submit(run_seeds, start, min(PORTION, first + count - start), events) for start in starts]
        for portion in as_completed(portions):
            total += portion.result()
            if total.failures:
                pool.shutdown(cancel_futures=True)
                break
    return total


def tell(report: Report, seconds: float, tier: str) -> bool:
    """Print what was done and covered; whether all is well, with all the coverage that is asked of the tier."""
    for machine in MACHINES:
        print(matrix(machine, report.met, unreachable), end="\n\n")
    print("outcomes seen:", dict(report.outcomes.most_common()))
    print("faults and the rest:", dict(report.seen.most_common()))
    reachable = {pair for pair in all_pairs() if not unreachable(pair)}
    usual = {pair for pair in reachable if not rare(pair)}
    wrong = sorted(report.met.keys() & (all_pairs() - reachable))
    missing = sorted((usual if tier == "pull-request" else reachable) - report.met.keys()) if tier else []
    unmoved = sorted(all_moves() - report.moved.keys()) if tier else []
    rows = [
        ("seeds", TIERS.get(tier, report.seeds), report.seeds), ("events", TIERS.get(tier, report.seeds) * 2_000, report.events),
        ("seconds", 120 if tier == "pull-request" else "", round(seconds)), ("violations", 0, len(report.failures)),
        ("usual state x event", len(usual), len(usual & report.met.keys())),
        ("rare state x event", len(reachable - usual), len((reachable - usual) & report.met.keys())),
        ("moves of the tables", len(all_moves()), len(all_moves() & report.moved.keys())),
    ]  # fmt: skip
    print(f"\n{'':24}{'asked':>14}{'measured':>14}")
    for name, asked, measured in rows:
        print(f"{name:24}{asked if asked == '' else f'{asked:,}':>14}{measured:>14,}")
    for what, pairs in (("never met", missing), ("met, and thought unreachable", wrong), ("never moved", unmoved)):
        if pairs:
            print(f"{what}: {pairs}")
    for failure in report.failures:
        print(failure)
    return not (missing or wrong or unmoved or report.failures)


def main() -> int:
    """Run a tier, or so many seeds, and print what they covered."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--tier", choices=TIERS, help="pull-request: 2,000 seeds; nightly: 10^8 events, an hour; release: 10^9")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--events", type=int, default=2000, help="of each seed")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    began = time.monotonic()
    seeds = TIERS[arguments.tier] if arguments.tier else arguments.seeds
    report = run_all(arguments.first, seeds, arguments.events, arguments.processes)
    return 0 if tell(report, time.monotonic() - began, arguments.tier or "") else 1


if __name__ == "__main__":
    sys.exit(main())
