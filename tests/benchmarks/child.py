"""One measurement of one system in a process of its own: `python -m tests.benchmarks.child SYSTEM ROW RESULT_FILE`."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path


def main() -> None:
    """Measure and write the outcome as JSON; "unsupported" where the system has no such thing."""
    system_name, row_name, result_file = sys.argv[1:]
    warnings.simplefilter("ignore")  # the peers' own deprecations
    from tests.benchmarks.rows import ROWS
    from tests.benchmarks.systems import Unsupported, installed

    row = next(row for row in ROWS if row.name == row_name)
    try:
        measured = row.measure(installed()[system_name]())
        outcome = {"values": measured.values, "note": measured.note, "beside": measured.beside}
    except Unsupported:
        outcome = {"values": [], "note": "unsupported", "beside": {}}
    Path(result_file).write_text(json.dumps(outcome))


if __name__ == "__main__":
    main()
