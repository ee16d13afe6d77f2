from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nbray.errors import UsageError
from nbray.tune.events import Answer, Entry, Reported, Slots, Start
from nbray.tune.journal import Header, Journal, read_journal, read_view
from tests.fuzz.journals import line_of

HEADER = Header("trees", "loss", "min", seed=7, num_samples=2, total=2, began=5.0)
ENTRIES = [
    Entry(1, 0.0, Slots(1), [Start("00000", 1, {"x": (1,)})]),
    Entry(2, 0.5, Reported("00000", 1, {"loss": 4.0}), [Answer("00000", "CONTINUE")]),
    Entry(3, 0.75, Reported("00000", 1, {"loss": 2.0}), [Answer("00000", "STOP", "enough")]),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "trees" / "journal.jsonl"


def written(path: Path) -> Path:
    journal = Journal.create(path, HEADER)
    for entry in ENTRIES:
        journal.append(entry)
    journal.close()
    return path


def test_what_was_written_is_read(path: Path) -> None:
    written(path)
    assert read_journal(path) == (HEADER, ENTRIES)
    journal, header, entries = Journal.open(path)
    assert (header, entries) == (HEADER, ENTRIES)
    journal.append(Entry(4, 1.0, Slots(0), []))
    journal.close()
    journal.close()
    assert len(read_journal(path)[1]) == 4
    assert repr(journal).endswith("closed)")


def test_each_entry_can_be_read_as_soon_as_it_was_appended(path: Path) -> None:
    journal = Journal.create(path, HEADER)
    for number, entry in enumerate(ENTRIES, start=1):
        journal.append(entry)
        assert read_journal(path)[1] == ENTRIES[:number]
    journal.close()


def test_a_last_line_that_was_torn_is_cut_wherever_it_was_torn(path: Path) -> None:
    whole = written(path).read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for end in range(last, len(whole), 7):
        path.write_bytes(whole[:end])
        assert read_journal(path) == (HEADER, ENTRIES[:2])
        journal, _header, entries = Journal.open(path)
        assert entries == ENTRIES[:2]
        journal.append(ENTRIES[2])
        journal.close()
        assert path.read_bytes() == whole


def test_a_last_line_with_a_hole_is_cut(path: Path) -> None:
    whole = written(path).read_bytes()
    path.write_bytes(whole[:-20] + b"\0" * 19 + b"\n")
    assert read_journal(path)[1] == ENTRIES[:2]


def test_damage_in_the_middle_is_an_error_that_says_what_to_do(path: Path) -> None:
    lines = written(path).read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"4.0", b"9.0")
    path.write_bytes(b"".join(lines))
    with pytest.raises(UsageError, match=r"line 3 of .* is damaged: its checksum does not match.* head -n 2 journal.jsonl"):
        read_journal(path)
    with pytest.raises(UsageError, match="line 3"):
        Journal.open(path)
    Journal.open(written(path.parent / "again" / "journal.jsonl"))[0].close()


def test_nobody_else_can_lead_the_experiment(path: Path) -> None:
    journal = Journal.create(path, HEADER)
    with pytest.raises(UsageError, match=r"trees is led by another process at the moment: follow it with %nbray tune"):
        Journal.open(path)
    assert read_journal(path) == (HEADER, [])
    journal.close()
    Journal.open(path)[0].close()


DIES = """
import os, pathlib, sys
from nbray.tune.events import Entry, Slots
from nbray.tune.journal import Header, Journal
Journal.create(pathlib.Path(sys.argv[1]), Header("trees")).append(Entry(1, 0.0, Slots(1), []))
os._exit(1)
"""


@pytest.mark.local
def test_the_lock_goes_with_its_process(path: Path) -> None:
    subprocess.run([sys.executable, "-c", DIES, str(path)], check=False)
    journal, _header, entries = Journal.open(path)
    journal.close()
    assert entries == [Entry(1, 0.0, Slots(1), [])]


def test_there_is_one_already(path: Path) -> None:
    written(path)
    with pytest.raises(UsageError, match=r"there is an experiment in .*trees already: give another name= .* tune.Tuner.restore"):
        Journal.create(path, HEADER)
    assert read_journal(path) == (HEADER, ENTRIES)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be written to .*file/trees/journal.jsonl: .*\. Give a directory of yours"):
        Journal.create(tmp_path / "file" / "trees" / "journal.jsonl", HEADER)


def test_where_there_is_no_experiment(path: Path) -> None:
    for read in (read_journal, Journal.open):
        with pytest.raises(UsageError, match=r"there is no experiment in .*trees: it has no journal.jsonl"):
            read(path)


def test_an_empty_journal(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    with pytest.raises(UsageError, match="the experiment ended before it began"):
        read_journal(path)


def test_a_journal_of_another_nbray(path: Path) -> None:
    Journal.create(path, Header("trees", format=99)).close()
    with pytest.raises(UsageError, match="format 99, this nbray reads 1"):
        read_journal(path)


def test_a_full_disk_leaves_whole_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.create(path, HEADER)
    journal.append(ENTRIES[0])
    write = os.write

    def some_bytes_fit(descriptor: int, data: memoryview) -> int:
        if len(data) < 40:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:30])

    monkeypatch.setattr(os, "write", some_bytes_fit)
    with pytest.raises(OSError, match="No space"):
        journal.append(ENTRIES[1])
    monkeypatch.undo()
    journal.append(ENTRIES[2])
    journal.close()
    assert read_journal(path)[1] == [ENTRIES[0], ENTRIES[2]]


def test_a_large_value_outlives_a_full_disk_and_a_new_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def large(number: int) -> Entry:
        return Entry(number, 0.0, Slots(1), [Start(f"{number:05d}", 1, {"data": "x" * 5000})])

    def nothing_fits(descriptor: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    journal = Journal.create(path, HEADER)
    monkeypatch.setattr(os, "write", nothing_fits)
    with pytest.raises(OSError, match="No space"):
        journal.append(large(1))
    monkeypatch.undo()
    journal.append(large(2))
    journal.close()
    journal, _header, _entries = Journal.open(path)
    journal.append(large(3))
    journal.close()
    assert read_journal(path)[1] == [large(2), large(3)]
    assert path.stat().st_size < 6000


def test_a_disk_that_is_full_from_the_beginning(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_fits(descriptor: int, data: memoryview) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", nothing_fits)
    with pytest.raises(OSError, match="No space"):
        Journal.create(path, HEADER)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="is empty: the experiment ended before it began"):
        Journal.open(path)


def test_the_view_of_a_journal(path: Path) -> None:
    view = read_view(written(path))
    assert (view.metric, view.mode, view.total) == ("loss", "min", 2)
    assert view.best is not None
    assert view.best.curve == [(1, 4.0), (2, 2.0)]


@pytest.mark.parametrize("body", [{"name": 5}, ["x"], {"name": "trees", "began": []}])
def test_a_first_line_that_is_no_header_is_damage(path: Path, body: object) -> None:
    lines = written(path).read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([line_of(body), *lines[1:]]))
    with pytest.raises(UsageError, match=r"line 1 of .* is damaged: Expected"):
        read_journal(path)


@pytest.mark.parametrize(
    "value", [{"~": ["large", "unknown"]}, {"~": ["who", 1]}, {"~": 5}, {"~": ["float", []]}, {"~": ["numpy", 3]}, {"~": []}]
)
def test_a_whole_line_with_a_value_that_no_journal_holds_is_damage(path: Path, value: object) -> None:
    whole = written(path).read_bytes()
    start = {"type": "Start", "trial_id": "00001", "attempt": 1, "config": {"x": value}}
    path.write_bytes(whole + line_of([4, 1.0, {"type": "Slots", "count": 1}, [start]]))
    with pytest.raises(UsageError, match=r"line 5 of .* is damaged"):
        read_journal(path)
