"""Journals of experiments whose lines are whole, and say what no experiment says."""

from __future__ import annotations

from typing import Any

import msgspec
import xxhash

from nbray.tune.events import Added, Answer, Entry, Reported, Slots, Start
from nbray.tune.journal_lines import body_of
from tests.fuzz.choices import Choices
from tests.fuzz.messages import broken_json


def entries() -> list[Entry]:
    """With every form in which values are kept, but for pickles: damaged ones are told by the line's checksum."""
    config: dict[str, Any] = {"lr": 0.1, "layers": (64, 32), "huge": 2**80, "end": float("inf"), "data": [0.5] * 900, "~": 1}
    return [
        Entry(1, 0.0, Slots(2), [Start("00000", 1, {key: config[key] for key in config if key != "~"})]),
        Entry(2, 0.5, Reported("00000", 1, {"loss": 4.0, "who": "ü"}), [Answer("00000", "CONTINUE")]),
        Entry(3, 0.7, Added({"data": [0.5] * 900, "lr": 1}), []),
    ]


def resealed(whole: bytes, choices: Choices) -> bytes:
    """The journal with something wrong in one line, whose checksum is right."""
    lines = whole.splitlines(keepends=True)
    place = choices.number(len(lines) - 1)
    body = body_of(lines[place])
    assert body is not None
    wrong = broken_json(body, choices)
    if b"dill" in wrong:
        return whole
    digest = xxhash.xxh3_64_hexdigest(wrong).encode()
    lines[place] = b"".join((b'{"sum":"', digest, b'","entry":', wrong, b"}\n"))
    return b"".join(lines)


def line_of(tree: Any) -> bytes:
    """A whole line that says this."""
    body = msgspec.json.encode(tree)
    return b"".join((b'{"sum":"', xxhash.xxh3_64_hexdigest(body).encode(), b'","entry":', body, b"}\n"))
