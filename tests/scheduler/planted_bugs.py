"""The teeth of the simulation: bugs that are planted in a scheduler one at a time, and which seed of a tier finds each.

    python -m tests.scheduler.planted_bugs                    look for each from seed 0 on, print the table
    python -m tests.scheduler.planted_bugs --write            ... and keep it in planted_bugs.txt, which the tests read
    python -m tests.scheduler.planted_bugs --tier nightly     more seeds, for those that the pull-request tier misses
    python -m tests.scheduler.planted_bugs --bug NAME         only this one, with the error that found it
"""

from __future__ import annotations

import argparse
import multiprocessing
import traceback
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from tests.scheduler import planted_actors, planted_cluster, planted_objects, planted_tasks
from tests.scheduler.planting import Bug, spoiled
from tests.scheduler.simulation import TIERS, run

BUGS: dict[str, Bug] = {
    bug.__name__: bug
    for bug in (*planted_tasks.BUGS, *planted_objects.BUGS, *planted_actors.BUGS, *planted_cluster.BUGS)
}  # fmt: skip
EVENTS = 2000
"""Of each seed, in every tier."""
WIDEST = 60
"""Characters of what broke that are kept."""
TABLE = Path(__file__).with_suffix(".txt")


class Finding(NamedTuple):
    """The first seed that broke a rule."""

    seed: int
    events: int
    """In all, of this seed and those before it."""
    broken: str


def look_for(bug: Bug, seeds: Iterable[int], events: int = EVENTS) -> Finding | None:
    """Run the seeds with this bug until one finds it."""
    done = 0
    for seed in seeds:
        try:
            done += run(seed, events, spoiled(bug)).events
        except Exception as error:
            innermost = traceback.extract_tb(error.__traceback__)[-1]
            if Path(innermost.filename).name.startswith("plant"):
                raise  # the patch itself is wrong
            return Finding(seed, done + int(_noted(error)), _in_one_line(error))
    return None


def _noted(error: Exception) -> str:
    """How many events the seed took: `run` notes it as "... after N events"."""
    return error.__notes__[-1].split(" after ")[1].split()[0].replace(",", "")


def _in_one_line(error: Exception) -> str:
    frame = next(frame for frame in reversed(traceback.extract_tb(error.__traceback__)) if "/scheduler/" in frame.filename)
    lines = str(error).strip().splitlines()
    return f"{Path(frame.filename).name}: {type(error).__name__} {lines[0] if lines else frame.line}"[:WIDEST]


# ---------------------------------------------------------------- the table


def read_table() -> dict[str, int]:
    """Each bug's seed, of those that were found when the table was made."""
    rows = [line.split() for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    return {row[0]: int(row[1]) for row in rows if row[1] != "-"}


def row_of(name: str, finding: Finding | None) -> str:
    """A line of the table."""
    seed, events, broken = finding or ("-", "-", "not found")
    return f"{name:48} {seed:>6} {events if isinstance(events, str) else format(events, ','):>10}  {broken}"


def _search(name: str, seeds: int) -> tuple[str, Finding | None]:
    return name, look_for(BUGS[name], range(seeds))


def main() -> None:
    """Look for the bugs and print the table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--tier", choices=list(TIERS), default="pull-request")
    parser.add_argument("--bug", choices=list(BUGS))
    parser.add_argument("--seeds", type=int, default=0, help="so many instead of the tier's")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"keep the table in {TABLE.name}")
    arguments = parser.parse_args()
    seeds = arguments.seeds or TIERS[arguments.tier]
    names = [arguments.bug] if arguments.bug else list(BUGS)
    head = f"# {'bug':46} {'seed':>6} {'events':>10}  the rule that was broken ({arguments.tier} tier: {seeds:,} seeds)"
    print(head, flush=True)
    rows, found = [head], 0
    with multiprocessing.get_context("spawn").Pool(arguments.processes) as pool:
        for name, finding in pool.imap(partial(_search, seeds=seeds), names):
            found += finding is not None
            rows.append(row_of(name, finding))
            print(rows[-1], flush=True)
    print(f"{found} of {len(names)} bugs found")
    if arguments.write:
        TABLE.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
