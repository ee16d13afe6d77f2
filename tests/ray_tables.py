"""Reads the README's tables of Ray's names."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text()


def table_between(begin: str, end: str) -> dict[str, tuple[str, str]]:
    """Verdict and explanation of each name in the table between two headings; no name may stand there twice."""
    found: dict[str, tuple[str, str]] = {}
    for line in README[README.index(begin) : README.index(end)].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 3:
            for name in re.findall(r"`([\w.]+)`", cells[0]):
                assert name not in found, f"{name} stands there twice"
                found[name] = (cells[1], cells[2])
    return found
