"""Messages of the task plane with any content that their types allow, and frames with one field that they do not."""

from __future__ import annotations

import json
import types
import typing
from typing import Any, Literal, get_args, get_origin

import msgspec

from nbray.ids import CellRunId, ObjectId, ProcessId, TemplateId, object_id, template_id
from nbray.scheduler.messages import FromScheduler, ToScheduler
from tests.fuzz.choices import Choices

NUMBERS = (0, 1, 2, 3, 5, 64, 4096, 65_536, 2**31, 2**40 + 1, 2**53, 2**62, 2**63 - 1, -1, -2, -3, -(2**40), -(2**63))
REALS = (0.0, 1.0, 0.25, -1.0, 1e9, 1e300, float("inf"), float("-inf"), float("nan"))
QUESTIONS = (
    "snapshot", "cell_runs", "tasks", "objects", "gangs", "gang", "renew", "started", "actors", "actor", "actor_state",
    "namespace", "prompt", "reply", "left_work", "take_over", "jobs",
)  # fmt: skip
STREAMS = ("stdout", "stderr", "display_data", "update_display_data", "prompt", "progress", "plot", "modules", "again", "skipped")
WORDS = (
    "", "CPU", "GPU", "memory", "job", "epoch-1", "task", "a\nb", "\0", "<b>", "ü€😀", "x" * 300, "../..", *QUESTIONS)
MOST_ITEMS = 4
KNOWN: dict[Any, tuple[Any, ...]] = {
    ObjectId: tuple(object_id(ProcessId(process), counter) for process in (3, 1) for counter in (1, 2, 3, 4)),
    TemplateId: tuple(template_id(ProcessId(process), counter) for process in (3, 1) for counter in (1, 2)),
    CellRunId: ("run-1", "run-2"),
}
"""Few enough that one message often speaks of what another one has made."""

KINDS_TO = get_args(ToScheduler)
KINDS_FROM = get_args(FromScheduler)


def message(choices: Choices, kinds: tuple[type, ...]) -> Any:
    """A message of one of these kinds."""
    return build(choices.pick(kinds), choices)


def build(kind: Any, choices: Choices, depth: int = 0) -> Any:
    """A value of a type, as a message's annotations name it."""
    if kind in KNOWN and not choices.chance(8):
        return choices.pick(KNOWN[kind])
    while isinstance(kind, typing.NewType):
        kind = kind.__supertype__
    origin = get_origin(kind)
    if origin is Literal:
        return choices.pick(get_args(kind))
    if origin in (typing.Union, types.UnionType):
        return build(choices.pick(get_args(kind)), choices, depth)
    if origin is typing.Annotated:
        return bounded(kind, choices)
    if origin is list:
        return [build(get_args(kind)[0], choices, depth + 1) for _ in range(_count(choices, depth))]
    if origin is tuple and get_args(kind)[-1] is Ellipsis:
        return tuple(build(get_args(kind)[0], choices, depth + 1) for _ in range(_count(choices, depth)))
    if origin is tuple:
        return tuple(build(each, choices, depth + 1) for each in get_args(kind))
    if origin is dict:
        key, value = get_args(kind)
        return {build(key, choices, depth + 1): build(value, choices, depth + 1) for _ in range(_count(choices, depth))}
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(kind, choices, depth)
    return _plain(kind, choices)


def _struct(kind: type[msgspec.Struct], choices: Choices, depth: int) -> Any:
    hints = typing.get_type_hints(kind, include_extras=True)
    return kind(**{name: build(hints[name], choices, depth + 1) for name in kind.__struct_fields__})


def _count(choices: Choices, depth: int) -> int:
    return choices.number(MOST_ITEMS) if depth < 5 else 0


def bounded(kind: Any, choices: Choices) -> Any:
    """A value within the bounds that the type sets, often on one of them."""
    base, *notes = get_args(kind)
    while isinstance(base, typing.NewType):
        base = base.__supertype__
    value = _plain(base, choices)
    for note in notes:
        if isinstance(note, msgspec.Meta) and isinstance(value, (int, float)):
            if note.ge is not None and not value >= note.ge:
                value = type(value)(note.ge)
            if note.le is not None and not value <= note.le:
                value = type(value)(note.le) if choices.chance(64) else type(value)(1)
    return value


def _plain(kind: Any, choices: Choices) -> Any:
    if kind is types.NoneType:
        return None
    if kind is bool:
        return choices.chance(2)
    if kind is int:
        return choices.pick((0, 1, 2, 5000, 10_000)) if choices.chance(2) else choices.pick(NUMBERS)
    if kind is float:
        return choices.pick(REALS)
    if kind is str:
        return choices.pick(WORDS if choices.chance(3) else WORDS[:4])
    assert kind is bytes, kind
    return choices.take(choices.number(40))


def broken(good: bytes, choices: Choices) -> bytes:
    """The MessagePack of a message with one place of its tree changed into something else."""
    tree = msgspec.msgpack.decode(good)
    return msgspec.msgpack.encode(_broken(tree, choices))


def broken_json(good: bytes, choices: Choices) -> bytes:
    """The same with JSON, which has no bytes and no numbers beyond 64 bits."""
    return json.dumps(_broken(json.loads(good), choices), default=lambda value: "bytes").encode()


def _broken(tree: Any, choices: Choices) -> Any:
    if isinstance(tree, list) and tree and not choices.chance(4):
        place = choices.number(len(tree) - 1)
        return [*tree[:place], _broken(tree[place], choices), *tree[place + 1 :]]
    if isinstance(tree, dict) and tree and not choices.chance(4):
        name = choices.pick(list(tree))
        return {**tree, name: _broken(tree[name], choices)}
    others: list[Any] = [None, True, -1, 2**63, 1.5, "", "x", b"", b"\xff", [], {}, [tree], {"a": tree}, [tree] * 50]
    if isinstance(tree, list):
        others += [tree[:-1], [*tree, 1], tree * 2]
    return choices.pick(others)
