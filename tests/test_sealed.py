"""Pieces come back as they were written, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbray import sealed
from nbray.sealed import Broken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    with path.open("wb") as file:
        sealed.write(file, b"first")
        sealed.write(file, b"second" * 1000)
    return path


def pieces(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return [sealed.read(file), sealed.read(file)]


def test_pieces_come_back_in_order(path: Path) -> None:
    assert pieces(path) == [b"first", b"second" * 1000]


def test_no_byte_can_be_another(path: Path) -> None:
    whole = path.read_bytes()
    for place in [*range(80), len(whole) - 1]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Broken):
            pieces(path)


@pytest.mark.parametrize("length", [0, 1, 27, 28, 30, 33, 40, 61, 100, 6000])
def test_what_is_cut_off_is_said_to_be(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(Broken, match="it is cut off"):
        pieces(path)


def test_other_files_are_told_apart(path: Path) -> None:
    path.write_bytes(b"\x80\x05" + bytes(100))
    with pytest.raises(Broken, match="does not begin as what nbray writes"):
        pieces(path)


def test_a_huge_length_takes_no_memory(path: Path) -> None:
    path.write_bytes(b"nbs1" + b"\xff" * 8 + bytes(16))
    with pytest.raises(Broken, match="cut off"):
        pieces(path)
