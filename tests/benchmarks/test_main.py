"""The one command measures, prints its table and saves JSON and a page."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)


@pytest.mark.slow
def test_a_row_is_measured_printed_and_saved(tmp_path: Path) -> None:
    run = benchmarks("--rows", "get", "--systems", "nbray", "--output", str(tmp_path))
    assert "get 100 MiB" in run.stdout, run.stderr
    assert "nbray: no copy" in run.stdout
    record = json.loads((tmp_path / "benchmarks.json").read_text())
    cell = record["cells"]["get"]["nbray"]
    assert len(cell["values"]) == 20
    assert min(cell["values"]) <= cell["figure"] <= max(cell["values"])
    assert "get 100 MiB" in (tmp_path / "benchmarks.html").read_text()


@pytest.mark.local
@pytest.mark.parametrize(("option", "value"), [("--rows", "putt"), ("--systems", "sprak"), ("--part", "tuna")])
def test_an_unknown_name_is_refused_with_those_there_are(option: str, value: str) -> None:
    run = benchmarks(option, value)
    assert run.returncode == 1
    assert f"'{value}'; there are: " in run.stderr
