"""The command: `python -m tests.storm`, `--minutes 30`, `--hours 8`, `--seed 7`, `--kernel` for a real ipykernel."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys

from tests.storm.controller import Storm, Tier
from tests.storm.faults import LONGEST_STOP
from tests.storm.verdict import judge

KILLS_A_SECOND = 100 / 60


def main() -> int:
    """Storm, print the table; 0 where all holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description="Faults over a real cluster under load.")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long the faults last (default: 1)")
    parser.add_argument("--hours", type=float, help="the same in hours")
    parser.add_argument("--seed", type=int, help="of load and faults (default: a new one)")
    parser.add_argument("--kernel", action="store_true", help="the notebook is a real ipykernel")
    parser.add_argument("--shared-machine", action="store_true", help="others compute here too: of times the middle counts")
    parser.add_argument("--keep", action="store_true", help="keep ledger, journals and the log of faults also when all holds")
    given = parser.parse_args()
    seconds = given.hours * 3600 if given.hours else given.minutes * 60
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    print(f"seed {seed}, {seconds:,.0f} s", flush=True)
    tier = Tier(seconds, kills=int(seconds * KILLS_A_SECOND), longest_stop=LONGEST_STOP, real_kernel=given.kernel)
    storm = Storm(seed, tier, lambda text: print(text, flush=True))
    passed = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was begun is ended
    try:
        verdict = judge(storm.run(), tier.kills, strict_times=not given.shared_machine)
        passed = verdict.passed
        print(verdict.table())
        for violation in verdict.violations:
            print(f"\n{violation}")
    finally:
        storm.places.remove(keep_records=given.keep or not passed)
    if not passed:
        print(f"\nFAILED. seed {seed}; log of faults, ledger and journals: {storm.places.root}")
    return not passed


if __name__ == "__main__":
    sys.exit(main())
