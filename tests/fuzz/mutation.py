"""Damage to bytes, as disks, old releases and hostile hands do it; the damage is chosen by `Choices`."""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.choices import Choices

MOST_WOUNDS = 4
JUNK = (
    b"\0", b"\xff", b"\n", b'"', b"{", b"[", b"\xff" * 4, b"\x7f" + b"\xff" * 7, b"\xed\xa0\x80", b"\\ud800", b"1e999", b"-1",
    b"9" * 20, b"null", b"NaN", b"[" * 3000, b'{"a":' * 3000, b"\x91" * 3000, b"x" * 3000, b"../../..",
)  # fmt: skip


def mutated(good: bytes, choices: Choices) -> bytes:
    """The bytes with a few wounds; as they were when `choices` is used up."""
    for _ in range(choices.number(MOST_WOUNDS)):
        good = choices.pick(WOUNDS)(good, choices)
    return good


def _flip(good: bytes, choices: Choices) -> bytes:
    if not good:
        return good
    place, bit = choices.number(len(good) - 1), choices.number(7)
    return good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1 :]


def _cut(good: bytes, choices: Choices) -> bytes:
    return good[: choices.number(len(good))]


def _cut_out(good: bytes, choices: Choices) -> bytes:
    begin = choices.number(len(good))
    return good[:begin] + good[begin + choices.number(64) :]


def _insert(good: bytes, choices: Choices) -> bytes:
    place = choices.number(len(good))
    return good[:place] + choices.pick(JUNK) + good[place:]


def _overwrite(good: bytes, choices: Choices) -> bytes:
    place, junk = choices.number(len(good)), choices.pick(JUNK)
    return good[:place] + junk + good[place + len(junk) :]


def _repeat(good: bytes, choices: Choices) -> bytes:
    begin = choices.number(len(good))
    end = begin + choices.number(200)
    return good[:end] + good[begin:end] * choices.number(20) + good[end:]


def _other(good: bytes, choices: Choices) -> bytes:
    return choices.take(choices.number(300))


def _zero(good: bytes, choices: Choices) -> bytes:
    """What a file system leaves after a failure of the machine: the length is right."""
    begin = choices.number(len(good))
    return good[:begin] + bytes(len(good) - begin)


WOUNDS: tuple[Callable[[bytes, Choices], bytes], ...] = (_flip, _cut, _cut_out, _insert, _overwrite, _repeat, _other, _zero)
