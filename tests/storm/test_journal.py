from __future__ import annotations

from pathlib import Path

import pytest

from tests.storm import journal
from tests.storm.journal import Again, Call, Ended, Entry, Journal, Lost, Submitted

ENTRIES: list[Entry] = [
    Submitted(1, 2.5), Call(1, 2, 3), Ended(1, 3.0, "result", 77), Ended(2, 3.0, "error", 0, ("KeyError", "Exception"), "why"),
    Lost(4.0, "killed"), Again(1, 5.0, Ended(1, 5.0, "result", 77)),
]  # fmt: skip


def test_what_is_noted_is_read(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    written = Journal(path)
    for entry in ENTRIES:
        written.note(entry)
    written.close()
    assert journal.read(path.read_bytes()) == ENTRIES


@pytest.mark.parametrize("cut", range(1, 20))
def test_what_is_being_written_is_no_entry_yet(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "journal"
    written = Journal(path)
    for entry in ENTRIES:
        written.note(entry)
    written.close()
    assert journal.read(path.read_bytes()[:-cut]) == ENTRIES[:-1]
