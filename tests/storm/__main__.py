"""The command: `python -m tests.storm`, `--minutes 30`, `--hours 8`, `--seed 7`, `--kernel` for a real ipykernel."""

from __future__ import annotations

import argparse
import math
import secrets
import signal
import sys

from tests.storm.controller import Storm, Tier
from tests.storm.verdict import judge

KILLS_A_SECOND = 100 / 60


ROUND_SECONDS = 600.0
"""A long storm is made of rounds with a seed each, so that what has happened fits into memory, and a failure into a look."""


def main() -> int:
    """Storm, print the tables; 0 where all holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description="Faults over a real cluster under load.")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long the faults last (default: 1)")
    parser.add_argument("--hours", type=float, help="the same in hours")
    parser.add_argument("--seed", type=int, help="of load and faults of the first round (default: a new one)")
    parser.add_argument("--kernel", action="store_true", help="the notebook is a real ipykernel")
    parser.add_argument("--shared-machine", action="store_true", help="others compute here too: of times the middle counts")
    parser.add_argument("--keep", action="store_true", help="keep ledger, journals and the log of faults also when all holds")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was begun is ended
    seconds = given.hours * 3600 if given.hours else given.minutes * 60
    rounds = max(1, math.ceil(seconds / ROUND_SECONDS))
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    failed = []
    for number in range(rounds):
        print(f"\nround {number + 1} of {rounds}, seed {seed + number}, {seconds / rounds:,.0f} s", flush=True)
        kills = int(seconds / rounds * KILLS_A_SECOND)
        tier = Tier(seconds / rounds, kills, real_kernel=given.kernel)
        if not storm(seed + number, tier, strict_times=not given.shared_machine, keep=given.keep):
            failed.append(seed + number)
    print(f"\n{rounds} rounds: " + (f"FAILED with the seeds {failed}" if failed else "all holds"))
    return bool(failed)


def storm(seed: int, tier: Tier, *, strict_times: bool, keep: bool) -> bool:
    """One round; whether all holds."""
    one, passed = Storm(seed, tier, lambda text: print(text, flush=True)), False
    try:
        verdict = judge(one.run(), tier.kills, strict_times=strict_times)
        passed = verdict.passed
        print(verdict.table())
        for violation in verdict.violations:
            print(f"\n{violation}")
        if not passed and not verdict.violations:
            print("\nNothing is wrong, but a row was missed: is this machine busy with others?")
    finally:
        one.places.remove(keep_records=keep or not passed)
    if not passed:
        print(f"\nFAILED. seed {seed}; log of faults, ledger and journals: {one.places.root}", flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main())
