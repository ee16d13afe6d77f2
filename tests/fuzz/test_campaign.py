"""A campaign finds what is wrong, makes it small, keeps it apart from other wrongs, and does the same again for a seed."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest

from tests.fuzz import __main__ as command
from tests.fuzz import campaign
from tests.fuzz.campaign import attack, kept, neighbours, random_inputs
from tests.fuzz.choices import Choices
from tests.fuzz.targets import plain


def reader(data: bytes) -> str:
    """With two bugs."""
    if b"\x07" in data:
        raise KeyError("seven")
    if len(data) > 500:
        raise IndexError("long")
    return "read" if data.startswith(b"\x01") else "refused"


TARGET = plain("reader", reader, "nothing")


def test_the_same_seed_gives_the_same_inputs() -> None:
    assert list(islice(random_inputs("a"), 20)) == list(islice(random_inputs("a"), 20))
    assert list(islice(random_inputs("a"), 20)) != list(islice(random_inputs("b"), 20))


def test_both_bugs_are_found_and_made_small() -> None:
    report = attack(TARGET, islice(random_inputs("seed"), 400))
    found = {where.split(" at ")[0]: data for where, (data, _) in report.failures.items()}
    assert found["KeyError"] == b"\x07"
    assert 501 <= len(found["IndexError"]) < 520
    assert report.outcomes["wrong"] > 10
    assert report.outcomes.total() == 400
    assert "2 wrong" in report.row()


def test_time_ends_it() -> None:
    assert attack(TARGET, random_inputs("seed"), 0.01).outcomes.total() >= 1


def test_what_fails_is_kept_and_tried_first_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(campaign, "CORPUS", tmp_path / "corpus")
    monkeypatch.setattr(command, "CORPUS", tmp_path / "corpus")
    monkeypatch.chdir(tmp_path)
    assert command.campaign([TARGET], 0.2, "seed") == 1
    said = capsys.readouterr()
    assert "seed seed, 1 targets" in said.out
    assert "reader: KeyError at test_campaign.py:" in said.out
    assert b"\x07" in kept(TARGET)
    assert {type(error).__name__ for _, error in attack(TARGET, kept(TARGET)).failures.values()} == {"KeyError", "IndexError"}


def test_neighbours_are_near(tmp_path: Path) -> None:
    for data in islice(neighbours([b"abcdefgh"], "seed"), 50):
        assert sum(one != other for one, other in zip(data, b"abcdefgh", strict=True)) <= 4
    assert list(neighbours([], "seed")) == []


class TestChoices:
    def test_they_are_read_from_the_front(self) -> None:
        choices = Choices(b"\x05\x01\x00rest")
        assert (choices.number(3), choices.pick("ab"), choices.chance(2), choices.rest()) == (1, "b", False, b"rest")

    def test_without_bytes_all_is_simple(self) -> None:
        choices = Choices(b"")
        assert (choices.number(10**9), choices.pick("ab"), choices.chance(2)) == (0, "a", False)
        assert (choices.take(5), choices.left) == (b"", 0)
