"""Pieces of a stream become whole lines."""

from __future__ import annotations

import pytest

from nbray.notebook.lines import LineAssembler, overwrite


def fed(*pieces: bytes) -> tuple[list[str], str]:
    lines = LineAssembler()
    return [lines.feed(piece) for piece in pieces], lines.partial


def test_whole_lines_come_out_and_the_rest_stays() -> None:
    assert fed(b"a\nb\nc", b"d\n", b"e") == (["a\nb\n", "cd\n", ""], "e")


def test_a_character_cut_in_two_arrives_whole() -> None:
    euro = "€".encode()
    assert fed(euro[:1], euro[1:2], euro[2:] + b"\n") == (["", "", "€\n"], "")


def test_bytes_that_are_no_utf8_are_replaced_and_the_rest_is_read() -> None:
    assert fed(b"a\xffb\n") == (["a�b\n"], "")


@pytest.mark.parametrize("pieces", [(b"one\r\ntwo\r\n",), (b"one\r", b"\ntwo\r\n")])
def test_windows_line_ends_are_line_ends(pieces: tuple[bytes, ...]) -> None:
    assert "".join(fed(*pieces)[0]) == "one\ntwo\n"


def test_a_progress_bar_keeps_only_what_is_seen() -> None:
    bar = LineAssembler()
    for percent in range(100):
        assert bar.feed(b"\r%3d %%" % percent) == ""
    assert bar.partial == " 99 %"
    assert bar.feed(b"\rdone \n") == "done \n"


def test_a_bar_that_is_on_the_screen_is_rewritten_there() -> None:
    bar = LineAssembler()
    bar.feed(b"10 %")
    assert bar.take_partial() == "10 %"
    bar.feed(b"\r20 %\r30 %")
    assert bar.take_partial() == "\r30 %"
    assert bar.feed(b"\r40 %\n50 %") == "\r40 %\n"
    assert bar.take_partial() == "50 %"
    assert bar.feed(b" and more\n") == " and more\n"
    assert not bar.continues


def test_a_broken_line_begins_anew() -> None:
    lines = LineAssembler()
    lines.feed(b"ab")
    lines.take_partial()
    assert lines.continues
    lines.break_line()
    assert lines.feed(b"\rcd\n") == "cd\n"


@pytest.mark.parametrize(
    ("line", "keep_first", "shown"),
    [
        ("plain", False, "plain"), ("10%\r", False, "10%\r"), ("10%\r", True, "10%\r"), ("a\rb\rc", False, "c"),
        ("more\r20%\r", True, "more\r20%\r"), ("long line\rX", False, "Xong line"), ("\r", False, ""),
    ],
)  # fmt: skip
def test_overwrite(line: str, keep_first: bool, shown: str) -> None:
    assert overwrite(line, keep_first=keep_first) == shown
