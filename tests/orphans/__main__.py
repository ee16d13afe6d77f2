"""`python -m tests.orphans --rounds 500`: many rounds of each kind of kill, and a table of what was asked and measured."""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
from collections.abc import Iterable, Sequence

from tests.orphans import rounds
from tests.orphans.rounds import Outcome

SECONDS = 2.0
SHARES = {"kernel": 0.4, "kernel's group": 0.2, "scheduler": 0.2, "supervisor": 0.15, "everything": 0.05}
"""The parts that the kinds of kills have in all rounds."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the rounds; the exit code is 1 when something was left or late."""
    parser = argparse.ArgumentParser(prog="python -m tests.orphans", description=__doc__)
    parser.add_argument("--rounds", type=int, default=500, help="how many in all")
    parser.add_argument("--seed", type=int, default=0, help="the same seed plays the same rounds")
    parser.add_argument("--kill", choices=list(rounds.KILLS), help="only this kind")
    asked = parser.parse_args(arguments)
    kinds = {asked.kill: 1.0} if asked.kill else SHARES
    outcomes = []
    for kill, share in kinds.items():
        for plan in itertools.islice(rounds.plans(kill, asked.seed), max(1, round(share * asked.rounds))):
            outcomes.append(rounds.play(plan))
            for line in faults(outcomes[-1]):
                print(line, flush=True)
            if len(outcomes) % 50 == 0:
                print(f"{len(outcomes)} rounds played", flush=True)
    print(table(outcomes))
    return int(any(faults(outcome) for outcome in outcomes))


def faults(outcome: Outcome) -> list[str]:
    """What a round has shown that should not be, one line each."""
    lines = [f"{outcome.plan}: left: {what}" for what in outcome.left]
    if outcome.seconds > SECONDS:
        lines.append(f"{outcome.plan}: the last process ended after {outcome.seconds:.2f} s")
    return lines


def table(outcomes: Iterable[Outcome]) -> str:
    """One line for each kind of kill."""
    lines = [f"{'killed':16}{'rounds':>7}{'processes':>11}{'median s':>10}{'worst s':>9}{'late':>6}{'left':>6}"]
    by_kill: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_kill.setdefault(outcome.plan.kill, []).append(outcome)
    for kill, some in by_kill.items():
        seconds = [outcome.seconds for outcome in some]
        late, left = sum(each > SECONDS for each in seconds), sum(bool(outcome.left) for outcome in some)
        processes = sum(outcome.processes for outcome in some)
        median, worst = statistics.median(seconds), max(seconds)
        lines.append(f"{kill:16}{len(some):7}{processes:11}{median:10.2f}{worst:9.2f}{late:6}{left:6}")
    return "\n".join([*lines, f"asked: everything gone within {SECONDS:g} s, nothing left"])


if __name__ == "__main__":
    sys.exit(main())
