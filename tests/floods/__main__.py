"""`python -m tests.floods`: all floods at their full sizes, and poison; prints what was asked and what was measured.

    python -m tests.floods                  everything, about a quarter of an hour on two cores
    python -m tests.floods --quick          at the sizes of the tests
    python -m tests.floods bar cancelled    those whose name has one of these words
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nbray.scheduler.workers import LOSSES_A_SECOND, LOSSES_AT_ONCE
from tests.floods.floods import CHANGES, FLOODS, WORKERS, Flood
from tests.floods.poison import KINDS, RETRIES, poison, seconds_for_deaths
from tests.floods.poison import WORKERS as WORKERS_OF_POISON
from tests.floods.probe import Report, percentile
from tests.floods.shore import MEGABYTE, Poured, Shore, shore
from tests.floods.stopped_driver import Slept, sleep_through

COLUMNS = ("lag p50", "p99", "max", "echo p99", "turn", "1+1 p50", "max", "bare max", "sched.", "kernel", "logs")
CHANGES_A_TASK = 3
"""Queued, assigned, succeeded."""
ASKED = ("", "<100", "", "", "<100", "", "<200", "", "<60+", "", "")


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; 1 where something was not as promised."""
    parser = argparse.ArgumentParser(prog="python -m tests.floods", description="Floods and poison, with a table.")
    parser.add_argument("words", nargs="*", help="parts of the names of floods")
    parser.add_argument("--quick", action="store_true", help="the sizes of the tests")
    asked = parser.parse_args(arguments)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="nbf-") as folder:
        for name in ("run", "cache", "kernels"):
            Path(folder, name).mkdir(mode=0o700)
        os.environ |= {"XDG_RUNTIME_DIR": f"{folder}/run", "XDG_CACHE_HOME": f"{folder}/cache"}
        print(line_of("milliseconds, MB", "size", COLUMNS), line_of("asked", "", ASKED), sep="\n")
        for line, wrong in rows(Path(folder, "kernels"), asked.words, quick=asked.quick):
            failed += bool(wrong)
            print(line, "; ".join(wrong), flush=True)
    print(f"{failed} not as promised")
    return min(1, failed)


def rows(folder: Path, words: Sequence[str], *, quick: bool) -> Iterator[tuple[str, list[str]]]:
    """Each flood's line, and what was wrong."""

    def is_meant(name: str) -> bool:
        return not words or any(word in name for word in words)

    with shore(folder) as lands:
        for flood in FLOODS:
            if is_meant(flood.name):
                yield poured(lands, flood, quick=quick)
        if is_meant("watchers that do not read"):
            with lands.watched_by_nobody():
                line, wrong = poured(lands, CHANGES, quick=quick)
                yield line.replace(CHANGES.name, "watchers that do not read".ljust(len(CHANGES.name))), wrong
    if is_meant("a driver that does not read"):
        slept = sleep_through(1000 if quick else 10_000, 200_000)
        yield slept_line(slept), slept.wrong()
    if is_meant("poison"):
        done = poison(10_000 if quick else 100_000, folder)
        told = f"{len(KINDS)} kinds x {1 + RETRIES} tries, {done.workers} workers, {done.right} others, {done.seconds:.0f} s"
        yield f"{'poison':34} {done.innocents:6}  {told}", done.wrong()
    if is_meant("deaths one after the other"):
        deaths = 60 if quick else 200
        seconds, least = seconds_for_deaths(deaths), (deaths - LOSSES_AT_ONCE - WORKERS_OF_POISON) / LOSSES_A_SECOND
        told = f"{seconds:.1f} s, at least {least:.1f} asked"
        yield f"{'deaths one after the other':34} {deaths:6}  {told}", ["workers came too fast"] * (seconds < least)


def poured(lands: Shore, flood: Flood, *, quick: bool) -> tuple[str, list[str]]:
    """One flood."""
    done = lands.pour(flood, flood.quick if quick else flood.full)
    line = poured_line(done)
    if flood is CHANGES:
        line += f"  {WORKERS * 1000 * done.size * CHANGES_A_TASK / done.seconds:,.0f} changes of state a second;"
    return line, done.wrong() + done.late()


def poured_line(done: Poured) -> str:
    """Times in milliseconds, sizes in MB."""
    (_, scheduler), (_, kernel) = done.report.memory[done.scheduler], done.report.memory[done.kernel]
    answers = in_milliseconds(done.answers, 0.5), in_milliseconds(done.answers, 1), in_milliseconds(done.controls, 1)
    sizes = in_megabytes(scheduler), in_megabytes(kernel), in_megabytes(done.report.disk)
    return line_of(done.flood.name, done.size, (*lags(done.report), f"{done.longest_turn * 1000:.0f}", *answers, *sizes))


def slept_line(slept: Slept) -> str:
    """The same for a driver that slept: it answers nothing."""
    (_, scheduler), = slept.report.memory.values()
    longest = max(place for place, count in enumerate(slept.turns) if count) * 10 + 10
    sizes = in_megabytes(scheduler), "", in_megabytes(slept.report.disk)
    return line_of("a driver that does not read", slept.tasks, (*lags(slept.report), longest, "", "", "", *sizes))


def lags(report: Report) -> tuple[str, ...]:
    """The first columns."""
    return *(in_milliseconds(report.lags, part) for part in (0.5, 0.99, 1)), in_milliseconds(report.echoes, 0.99)


def line_of(name: str, size: object, values: Iterable[object]) -> str:
    """One line of the table."""
    return f"{name:34} {size:>6} " + " ".join(f"{value:>8}" for value in values)


def in_milliseconds(seconds: Sequence[float], part: float) -> str:
    """A percentile."""
    return f"{percentile(seconds, part) * 1000:.1f}"


def in_megabytes(size: int) -> str:
    """Whole ones."""
    return str(size // MEGABYTE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
