"""Whatever bytes come, a decoder raises nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray.unreadable import UNREADABLE


class Note(msgspec.Struct):
    text: str
    more: dict[str, Any] = {}


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b'{"text": 1}', b'{"text": "\xff"}', b'{"text": "a", "more": ' + b'{"a":' * 100_000,
     b'{"text": "\\ud800"}', b"\xff\xfe", b'{"text": "a", "more": {"a": 1e999}}'],
)  # fmt: skip
def test_hostile_json_raises_one_of_them(data: bytes) -> None:
    with pytest.raises(UNREADABLE):
        msgspec.json.decode(data, type=Note)


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x81\xa4text\xa1\xff", b"\x82\xa4text\xa0\xa4more" + b"\x81\xa1a" * 100_000])
def test_hostile_messagepack_raises_one_of_them(data: bytes) -> None:
    with pytest.raises(UNREADABLE):
        msgspec.msgpack.decode(data, type=Note)


@given(st.binary(max_size=100))
def test_any_bytes_are_a_note_or_raise_one_of_them(data: bytes) -> None:
    for decode in (msgspec.json.decode, msgspec.msgpack.decode):
        try:
            assert isinstance(decode(data, type=Note), Note)
        except UNREADABLE:
            pass
