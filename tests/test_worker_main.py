"""The program that a driver starts; tests/engine and tests/contract show what it becomes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.local

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("said", [b"", b"{}", b"rubbish"])
def test_without_a_configuration_it_ends_and_says_so(said: bytes) -> None:
    done = subprocess.run([sys.executable, "-m", "nbray.worker_main"], input=said, capture_output=True, cwd=ROOT, check=False)
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"Error" in done.stderr
