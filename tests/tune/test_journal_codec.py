from __future__ import annotations

import base64
import json
import math
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray.errors import UsageError
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
from nbray.tune.journal_codec import body_of, decode_entry, encode_line, pack, same_value, unpack


def double(x: int) -> int:
    return 2 * x


def there_and_back(value: Any) -> Any:
    return unpack(json.loads(json.dumps(pack(value), allow_nan=False)))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -7, 0.1, "ä\n", [1, [2]], {"a": {"b": []}}, (1, (2, "x")), 2**70, -(2**60), math.inf, -math.inf,
        {"~": 1}, {"~": ["tuple", [1]]}, {1: "one"}, {"layers": (64, 32)}, {1, 2}, PurePosixPath("/x"), double, 1 + 2j, b"bytes",
        np.float64(0.5), np.int64(3),
    ],
)  # fmt: skip
def test_values_come_back_as_they_were(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_nan_and_arrays_come_back() -> None:
    assert math.isnan(there_and_back(math.nan))
    assert isinstance(there_and_back(np.float32(0.1)), np.float32)
    assert there_and_back(np.arange(3)).tolist() == [0, 1, 2]
    assert there_and_back(lambda x: x + 1)(2) == 3


def test_what_json_holds_stays_readable() -> None:
    value = {"lr": 0.1, "name": "sgd", "sizes": [1, 2], "on": None}
    assert pack(value) == value


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@given(json_like)
def test_any_value_comes_back(value: Any) -> None:
    assert there_and_back(value) == value
    assert same_value(value, there_and_back(value))


def test_values_that_do_not_compare_are_compared() -> None:
    assert same_value({"x": np.arange(3), "f": double}, {"x": np.arange(3), "f": double})
    assert not same_value({"x": np.arange(3)}, {"x": np.arange(4)})
    assert same_value(math.nan, math.nan)


class Stubborn:
    def __reduce__(self) -> Any:
        raise RuntimeError("a socket, say")


def test_a_value_that_cannot_be_written() -> None:
    with pytest.raises(UsageError, match=r"type Stubborn cannot be written into the journal .*: a socket, say\. Put a"):
        pack({"x": [Stubborn()]})


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
    body = body_of(encode_line(entry))
    assert body is not None
    assert repr(decode_entry(body)) == repr(entry)


def test_a_line_is_one_line_of_json_with_a_checksum() -> None:
    line = encode_line(Entry(1, 0.5, Failed("00000", 1, "two\nlines"), []))
    assert line.count(b"\n") == 1
    assert json.loads(line)["entry"][:2] == [1, 0.5]


def test_each_damage_to_a_line_is_seen() -> None:
    line = encode_line(Entry(1, 0.5, Slots(2), []))
    assert body_of(line) is not None
    assert [cut for cut in range(len(line)) if body_of(line[:cut]) is not None] == []
    for place in range(len(line)):
        damaged = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
        assert body_of(damaged) is None, damaged


def test_an_object_that_cannot_be_loaded_here() -> None:
    entry = Entry(1, 0.0, Reported("00000", 1, {}), [])
    body = body_of(encode_line(entry))
    assert body is not None
    pickled = base64.b64encode(b"cno_such_module\nThing\n.")
    missing = body.replace(b'"metrics":{}', b'"metrics":{"x":{"~":["dill","' + pickled + b'"]}}')
    with pytest.raises(ValueError, match=r"an object that cannot be loaded here: ModuleNotFoundError: .*'no_such_module'"):
        decode_entry(missing)
