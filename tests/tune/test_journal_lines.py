from __future__ import annotations

import base64
import json
import math
from typing import Any

import pytest

from nbray.tune.events import (
    Added,
    Answer,
    Close,
    CloseReason,
    Closing,
    Ended,
    Entry,
    Event,
    Failed,
    Moved,
    Reported,
    Say,
    Slots,
    Start,
    Tick,
)
from nbray.tune.journal_lines import LARGE, EntryReader, EntryWriter, body_of


def double(x: int) -> int:
    return 2 * x


EVENTS: list[Event] = [
    Slots(2), Reported("00000", 1, {"loss": math.nan, "c": (1, 2)}, "c1", True), Ended("00000", 1, False, {"loss": double}, None),
    Ended("00000", 1, True), Failed("00000", 1, "Traceback ä"), Added({"x": (1,)}), Tick(),
]  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_entries_come_back(event: Event) -> None:
    entry = Entry(
        3, 0.25, event,
        [
            Start("00001", 2, {"f": double, "t": (1,)}, "c1", 4), Answer("00000", "STOP", "why"),
            Moved("00002", "PENDING", "", {"x": (1,)}), Moved("00002", "ERROR", "no"), Say("ü"),
            Closing(CloseReason.DONE, "x"), Close(CloseReason.DONE, "x"),
        ],
    )  # fmt: skip
    body = body_of(EntryWriter().line(entry))
    assert body is not None
    assert repr(EntryReader().entry(body)) == repr(entry)


def test_a_line_is_one_line_of_json_with_a_checksum() -> None:
    line = EntryWriter().line(Entry(1, 0.5, Failed("00000", 1, "two\nlines"), []))
    assert line.count(b"\n") == 1
    assert json.loads(line)["entry"][:2] == [1, 0.5]


def test_each_damage_to_a_line_is_seen() -> None:
    line = EntryWriter().line(Entry(1, 0.5, Slots(2), []))
    assert body_of(line) is not None
    assert [cut for cut in range(len(line)) if body_of(line[:cut]) is not None] == []
    for place in range(len(line)):
        damaged = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
        assert body_of(damaged) is None, damaged


def test_an_object_that_cannot_be_loaded_here() -> None:
    entry = Entry(1, 0.0, Reported("00000", 1, {}), [])
    body = body_of(EntryWriter().line(entry))
    assert body is not None
    pickled = base64.b64encode(b"cno_such_module\nThing\n.")
    missing = body.replace(b'"metrics":{}', b'"metrics":{"x":{"~":["dill","' + pickled + b'"]}}')
    with pytest.raises(ValueError, match=r"an object that cannot be loaded here: ModuleNotFoundError: .*'no_such_module'"):
        EntryReader().entry(missing)


def test_half_a_surrogate_pair_in_an_error_is_written_with_a_backslash() -> None:
    body = body_of(EntryWriter().line(Entry(1, 0.0, Failed("00000", 1, "no file \udcff"), [])))
    assert body is not None
    assert EntryReader().entry(body).event == Failed("00000", 1, "no file \\udcff")


def started(number: int, **config: Any) -> Entry:
    return Entry(number, 0.0, Slots(1), [Start(f"{number:05d}", 1, config)])


@pytest.mark.parametrize("large", ["x" * LARGE, list(range(LARGE)), {"a": ["x"] * LARGE}, b"x" * LARGE, (0.5,) * LARGE])
def test_large_values_of_configurations_are_written_once(large: Any) -> None:
    writer, reader = EntryWriter(), EntryReader()
    lines = [writer.line(started(number, data=large, lr=number)) for number in range(3)]
    assert len(lines[0]) > LARGE
    assert max(len(lines[1]), len(lines[2])) < 200
    assert json.loads(lines[2])["entry"][3][0]["config"]["lr"] == 2
    entries = [reader.entry(body_of(line) or b"") for line in lines]
    assert entries == [started(number, data=large, lr=number) for number in range(3)]
    again = EntryWriter(reader.large).line(started(3, data=large))
    assert len(again) < 200
    assert reader.entry(body_of(again) or b"") == started(3, data=large)


def test_large_values_that_differ_are_not_mistaken() -> None:
    writer, reader = EntryWriter(), EntryReader()
    entries = [started(number, data=["x"] * LARGE + [number]) for number in range(3)]
    assert [reader.entry(body_of(writer.line(entry)) or b"") for entry in entries] == entries
