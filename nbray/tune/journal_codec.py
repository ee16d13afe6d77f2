"""How values of metrics and configurations become JSON and the same values again, and how one entry becomes a line."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from typing import Any

import dill
import msgspec
import xxhash

from nbray.errors import UsageError
from nbray.tune.events import Added, Ended, Entry, Moved, Reported, Start

_TAG = "~"
"""A dict with this one key stands for a value that JSON does not have: a float without end, a tuple, any object."""
_INT_LIMIT = 2**53
"""Beyond it other readers of JSON lose digits."""
_PLAIN = frozenset({str, bool, type(None)})
_ENTRY = msgspec.json.Decoder(Entry)
_ENCODER = msgspec.json.Encoder()
_HEAD = b'{"sum":"'
_MIDDLE = b'","entry":'


def pack(value: Any) -> Any:
    """The value as JSON can hold it; what JSON holds as it is comes back untouched.

    Objects are pickled by dill, so `unpack` runs code that the journal names: read only journals that you trust. Raises
    UsageError if that fails.

    >>> pack({"lr": 0.1, "layers": (64, 32)})
    {'lr': 0.1, 'layers': {'~': ['tuple', [64, 32]]}}
    >>> unpack(pack({"lr": float("inf"), "layers": (64, 32)}))
    {'lr': inf, 'layers': (64, 32)}
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        return value if math.isfinite(value) else {_TAG: ["float", repr(value)]}
    if kind is int:
        return value if -_INT_LIMIT < value < _INT_LIMIT else {_TAG: ["int", str(value)]}
    if kind is list:
        return [pack(item) for item in value]
    if kind is tuple:
        return {_TAG: ["tuple", [pack(item) for item in value]]}
    if kind is dict and all(type(key) is str and key != _TAG for key in value):
        return {key: pack(item) for key, item in value.items()}
    return {_TAG: ["dill", _dilled(value)]}


def _dilled(value: Any) -> str:
    try:
        return base64.b64encode(dill.dumps(value)).decode("ascii")
    except Exception as error:  # what a class's own __reduce__ raises can be anything
        raise UsageError(
            f"a value of type {type(value).__qualname__} cannot be written into the journal of the experiment: {error}. "
            "Put a name or a number into configurations and reports, and make the object of it in the trial"
        ) from error


def _loaded(text: str) -> Any:
    try:
        return dill.loads(base64.b64decode(text))
    except Exception as error:  # whatever the object's own module raises, or lacks
        raise ValueError(f"it holds an object that cannot be loaded here: {type(error).__name__}: {error}") from error


_UNPACK: dict[str, Callable[[Any], Any]] = {
    "float": float,
    "int": int,
    "tuple": lambda items: tuple(unpack(item) for item in items),
    "dill": lambda text: _loaded(text),
}


def unpack(value: Any) -> Any:
    """The value that was packed."""
    if type(value) is list:
        return [unpack(item) for item in value]
    if type(value) is not dict:
        return value
    if _TAG in value:
        kind, content = value[_TAG]
        return _UNPACK[kind](content)
    return {key: unpack(item) for key, item in value.items()}


def same_value(one: Any, other: Any) -> bool:
    """Whether two configurations are the same to a journal, also with values in them that do not compare."""
    return bool(pack(one) == pack(other))


def _mapped(message: Any, change: Callable[[Any], Any]) -> Any:
    """A message of the events with its users' values changed."""
    match message:
        case Reported() | Ended():
            return msgspec.structs.replace(message, metrics=change(message.metrics))
        case Added() | Start() | Moved():
            return msgspec.structs.replace(message, config=change(message.config))
        case _:
            return message


def encode_line(value: Any) -> bytes:
    """A line with a checksum, for an Entry or another struct without values of the user."""
    if isinstance(value, Entry):
        value = Entry(
            value.number, value.now, _mapped(value.event, pack), [_mapped(action, pack) for action in value.actions]
        )
    body = _ENCODER.encode(value)
    return b"".join((_HEAD, xxhash.xxh3_64_hexdigest(body).encode(), _MIDDLE, body, b"}\n"))


def body_of(line: bytes) -> bytes | None:
    """The JSON inside a line; None if the line is not whole."""
    start = len(_HEAD) + 16 + len(_MIDDLE)
    body = line[start:-2]
    whole = line.startswith(_HEAD) and line[start - len(_MIDDLE) : start] == _MIDDLE and line.endswith(b"}\n")
    return body if whole and xxhash.xxh3_64_hexdigest(body).encode() == line[len(_HEAD) : len(_HEAD) + 16] else None


def decode_entry(body: bytes) -> Entry:
    """The entry of a line; raises ValueError if it is none, or holds an object that cannot be loaded here."""
    entry = _ENTRY.decode(body)
    return Entry(
        entry.number, entry.now, _mapped(entry.event, unpack), [_mapped(action, unpack) for action in entry.actions]
    )
