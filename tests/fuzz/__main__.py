"""Fuzzes every reader of bytes for as long as it is told to, and prints a table.

    python -m tests.fuzz --minutes 60                     all targets, one after another
    python -m tests.fuzz --minutes 10 --target journal    one of them
    python -m tests.fuzz --atheris --target stranger      guided by coverage, where atheris is installed

What fails is made small and put into tests/fuzz/corpus/<target>/, where the tests try it from then on; the seed is printed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib
import secrets
import sys
import tempfile
import traceback
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from tests.fuzz.campaign import CORPUS, Report, attack, kept, neighbours, random_inputs
from tests.fuzz.targets import Target, all_targets

ROUNDS = 4
"""Each target has its turn so often, so that a run that is ended early has seen all of them."""


def main() -> int:
    """Returns 1 where something is wrong."""
    guide = _atheris() if "--atheris" in sys.argv else None
    with guide.instrument_imports(include=["nbray", "tests.fuzz"]) if guide else contextlib.nullcontext():
        targets = all_targets()  # which imports all that is fuzzed
    as_it_is = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__, formatter_class=as_it_is)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--target", action="append", choices=sorted(targets))
    parser.add_argument("--atheris", action="store_true", help="one target, guided by coverage")
    asked = parser.parse_args()
    chosen = [targets[name] for name in asked.target or targets]
    if guide:
        guided(guide, chosen[0], asked.minutes * 60)
    return campaign(chosen, asked.minutes * 60, asked.seed)


def campaign(targets: list[Target], seconds: float, seed: str) -> int:
    """All targets in turns."""
    print(f"seed {seed}, {len(targets)} targets, {seconds:,.0f} s")
    share, reports = seconds / ROUNDS / len(targets), {target.name: Report(target) for target in targets}
    for turn in range(ROUNDS):
        for target in targets:
            name = f"{seed} {turn} {target.name}"
            corpus = kept(target)
            known = attack(target, chain(corpus if turn == 0 else (), neighbours(corpus, name)), share / 4) if corpus else None
            fresh = attack(target, random_inputs(name), share)
            for report in filter(None, (known, fresh)):
                merge(reports[target.name], report)
    print(f"\n{'target':16} {'inputs':>11}  {'outcomes':42} {'slowest':>11}             asked")
    for report in reports.values():
        print(report.row())
    return keep(reports.values())


def merge(total: Report, part: Report) -> None:
    """Add one report to another of the same target."""
    total.outcomes += part.outcomes
    total.slowest = max(total.slowest, part.slowest)
    for where, failure in part.failures.items():
        total.failures.setdefault(where, failure)


def keep(reports: Iterable[Report]) -> int:
    """Put what failed into the corpus; returns 1 where something did."""
    wrong = 0
    for report in reports:
        for where, (data, error) in report.failures.items():
            wrong = 1
            folder = CORPUS / report.target.name.replace(" ", "_")
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / hashlib.blake2b(data, digest_size=6).hexdigest()
            path.write_bytes(data)
            print(f"\n{report.target.name}: {where}, {len(data)} bytes in {path.relative_to(Path.cwd())}")
            traceback.print_exception(error)
    return wrong


def _atheris() -> Any:
    try:
        return importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is not installed: pip install 'nbray[fuzz]' (Linux, CPython), or leave --atheris out")


def guided(atheris: Any, target: Target, seconds: float) -> None:
    """Let atheris steer; does not return. What it finds interesting stays in a directory that it names."""
    found = Path(tempfile.mkdtemp(prefix="nbray-fuzz-"))
    for number, data in enumerate(kept(target)):
        (found / str(number)).write_bytes(data)
    print(f"inputs that reach new code go to {found}; an input that fails to {Path.cwd()}/crash-...")
    with tempfile.TemporaryDirectory(prefix="nbf-") as place, target.open(Path(place)) as run:

        def one(data: bytes) -> None:
            run(data)

        atheris.Setup([sys.argv[0], f"-max_total_time={seconds:.0f}", "-max_len=4096", "-len_control=0", str(found)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
