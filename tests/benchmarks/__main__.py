"""`python -m tests.benchmarks`: run the figures, print nbray beside its peers, save JSON and a chart."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from tests.benchmarks import report
from tests.benchmarks.limits import LIMITS
from tests.benchmarks.report import Cell, Run
from tests.benchmarks.rows import ROWS, Row
from tests.benchmarks.systems import installed
from tests.leak_guard import MARK, ProcessTable

ROOT = Path(__file__).parents[2]
TIMEOUT = 180


class Outcome(TypedDict):
    """What a child process writes: `Measured` as JSON."""

    values: list[float]
    note: str
    beside: dict[str, float]


def measure(system: str, row: Row, done: dict[tuple[str, str], Outcome]) -> Cell:
    """One row of one system; rows that read two figures off one measurement share it through `done`."""
    if row.part not in installed()[system].parts:
        return Cell([], "unsupported")
    key = (system, f"{row.measure.__module__}.{row.measure.__name__}")
    outcome = done.get(key) or _measured(system, row)
    done[key] = outcome
    values = outcome["values"]
    return Cell(values, outcome["note"], row.pick(values) if values else None, outcome["beside"])


def _measured(system: str, row: Row) -> Outcome:
    """The outcome of one row of one system, each repeat in a fresh process."""
    values: list[float] = []
    for _ in range(row.processes):
        mark = secrets.token_hex(8)
        with tempfile.TemporaryDirectory() as directory:
            result, log = Path(directory, "result"), Path(directory, "log")
            code = _run_child([system, row.name, str(result)], mark, log)
            if not result.exists():
                return Outcome(values=[], note=f"failed ({code}): {_last_line(log)}", beside={})
            outcome: Outcome = json.loads(result.read_text())
        values += outcome["values"]
    return Outcome(values=values, note=outcome["note"], beside=outcome["beside"])


def _run_child(arguments: list[str], mark: str, log: Path) -> str:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {MARK: mark, "PYTHONPATH": path, "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    command = [sys.executable, "-m", "tests.benchmarks.child", *arguments]
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
        try:
            return f"exit code {child.wait(TIMEOUT)}"
        except subprocess.TimeoutExpired:
            return f"not done after {TIMEOUT} s"
        finally:
            for pid in ProcessTable(mark).ours():
                _kill(pid)
            child.wait()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no output"


def _chosen(text: str, known: Sequence[str], what: str) -> list[str]:
    names = [name.strip() for name in text.split(",")] if text else list(known)
    unknown = set(names) - set(known)
    if unknown:
        raise SystemExit(f"no {what} {', '.join(sorted(unknown))!r}; there are: {', '.join(known)}")
    return names


def main() -> None:
    """Run the chosen rows on the chosen systems; exit code 1 when a promise is not kept."""
    systems = list(installed())
    parts = list(dict.fromkeys(row.part for row in ROWS))
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--rows", default="", help=f"comma-separated, of: {', '.join(row.name for row in ROWS)}")
    parser.add_argument("--part", default="", help=f"all rows of a part of nbray, of: {', '.join(parts)}")
    parser.add_argument("--systems", default="", help=f"comma-separated, of those installed: {', '.join(systems)}")
    parser.add_argument("--output", type=Path, default=ROOT / "results", help="folder for the JSON and the chart")
    arguments = parser.parse_args()
    chosen_parts = set(_chosen(arguments.part, parts, "part"))
    row_names = _chosen(arguments.rows, [row.name for row in ROWS if row.part in chosen_parts], "row")
    peers = [name for name, system in installed().items() if system.parts & chosen_parts]
    chosen = _chosen(arguments.systems, systems, "system") if arguments.systems else peers

    run = Run(chosen, {name: LIMITS[name]() for name in ("memcpy", "socket")})
    print(report.heading(run), flush=True)
    done: dict[tuple[str, str], Outcome] = {}
    for row in ROWS:
        if row.name in row_names:
            if row.limit:
                run.limits[row.name] = {row.limit: LIMITS[row.limit]()}
            run.cells[row.name] = {system: measure(system, row, done) for system in chosen}
            print(report.line(run, row), flush=True)
    print(report.footer(run))
    report.save(run, arguments.output)
    sys.exit(1 if any(report.verdict(run, row) is False for row in ROWS if row.name in run.cells) else 0)


if __name__ == "__main__":
    main()
