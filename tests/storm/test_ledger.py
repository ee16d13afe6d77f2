from __future__ import annotations

import pytest

from tests.storm.ledger import (
    Histories,
    Line,
    Tail,
    disorder,
    read,
    results_without_attempt,
    strangers,
    too_many_attempts,
    written,
)


def lines(text: str) -> list[Line]:
    """Lines in short: kind, subject, number and pid; a second passes with each."""
    found = []
    for at, each in enumerate(text.split(",")):
        kind, subject, number, pid = each.split()
        found.append(Line(kind, int(subject), int(number), int(pid), float(at)))
    return found


def test_what_is_written_is_read() -> None:
    made = lines("b 1 1 70, d 1 1 70, c 5 2 71")
    assert read(b"".join(map(written, made))) == made


def test_a_torn_line_is_an_error() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        read(b"b 1 1 70 1.0\nb 1 1")


@pytest.mark.parametrize(
    ("text", "retries", "words"),
    [
        ("b 1 1 70, d 1 1 70", 0, ""),
        ("b 1 1 70, b 1 2 71, d 1 2 71", 1, ""),
        ("b 1 1 70, b 1 2 71", 0, "with 0 retries has begun as attempts"),
        ("b 1 1 70, b 1 1 71", 3, "twice as the same attempt"),
        ("b 1 4 70", 2, "with 2 retries"),
        ("b 1 101 70, b 1 201 71", 1, ""),
        ("b 1 101 70, b 1 102 71, b 1 103 72", 1, "with 1 retries"),
        ("b 1 101 70, b 1 201 71, b 1 301 72", 1, "with 1 retries"),
    ],
)
def test_attempts(text: str, retries: int, words: str) -> None:
    found = too_many_attempts(Histories(lines(text)), {1: retries})
    assert (words in found[0]) if words else found == []


def test_a_task_that_nobody_submitted() -> None:
    assert strangers(Histories(lines("b 1 1 70, b 2 1 70")), {1: 0}) == ["task 2 has run, but nobody submitted it"]


def test_a_result_of_a_task_that_was_never_done() -> None:
    histories = Histories(lines("b 1 1 70, x 1 1 70, b 2 1 70, d 2 1 70"))
    assert results_without_attempt(histories, [2]) == []
    assert len(results_without_attempt(histories, [1, 2, 3])) == 2


@pytest.mark.parametrize(
    ("text", "repeats", "wrong"),
    [
        ("c 9 1 70, e 9 1 70, c 9 2 70", False, 0),
        ("c 9 1 70, c 9 3 70", False, 0),
        ("c 9 1 70, c 9 1 71", False, 1),
        ("c 9 1 70, c 9 2 70, c 9 1 71, c 9 2 71, c 9 3 71", True, 0),
        ("c 9 2 70, c 9 1 70", True, 1),
        ("c 9 2 70, c 9 1 70, c 9 1 71", False, 2),
    ],
)
def test_calls_of_an_actor(text: str, repeats: bool, wrong: int) -> None:
    assert len(disorder(lines(text), repeats=repeats)) == wrong


def test_who_was_busy_when_it_was_killed() -> None:
    histories = Histories(lines("b 1 1 70, d 1 1 70, b 2 1 70, c 5 1 71, e 5 1 71"))
    assert [histories.was_busy(70, at) for at in (0.5, 1.5, 2.5)] == [True, False, True]
    assert [histories.was_busy(71, at) for at in (2.5, 3.5, 4.5)] == [False, True, False]
    assert not histories.was_busy(72, 9.0)


def test_the_tail_is_read_piece_by_piece() -> None:
    tail = Tail()
    text = b"".join(map(written, lines("b 1 1 70, c 5 1 71, d 1 1 70")))
    for start in range(0, len(text), 7):
        tail.feed(text[start : start + 7])
    assert tail.busy([70, 71, 72]) == [71]
