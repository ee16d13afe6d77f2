"""How entries become the lines of a journal, each with a checksum, and are read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import xxhash

from nbray.tune.events import Added, Ended, Entry, Moved, Reported, Start
from nbray.tune.journal_codec import pack, unpack

LARGE = 2000
"""Bytes. Values of configurations beyond it are written once: a data set among the parameters is the same in each trial."""
_HEAD = b'{"sum":"'
_MIDDLE = b'","entry":'
_SUM = 16
_ENCODER = msgspec.json.Encoder()
_ENTRY = msgspec.json.Decoder(Entry)


def line_of(value: msgspec.Struct) -> bytes:
    """A line with a checksum."""
    try:
        body = _ENCODER.encode(value)
    except UnicodeEncodeError:  # an error's text may hold half a surrogate pair, such as that of a badly named file
        body = _ENCODER.encode(_encodable(msgspec.to_builtins(value)))
    return b"".join((_HEAD, xxhash.xxh3_64_hexdigest(body).encode(), _MIDDLE, body, b"}\n"))


def body_of(line: bytes) -> bytes | None:
    """The JSON inside a line; None if the line is not whole."""
    begin = len(_HEAD) + _SUM + len(_MIDDLE)
    body = line[begin:-2]
    if not (line.startswith(_HEAD) and line[begin - len(_MIDDLE) : begin] == _MIDDLE and line.endswith(b"}\n")):
        return None
    return body if xxhash.xxh3_64_hexdigest(body).encode() == line[len(_HEAD) : len(_HEAD) + _SUM] else None


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    return {_encodable(key): _encodable(item) for key, item in value.items()} if isinstance(value, dict) else value


def _with_values(entry: Entry, metrics: Callable[[Any], Any], config: Callable[[Any], Any]) -> Entry:
    """An entry with the users' values in it changed."""

    def changed(message: Any) -> Any:
        match message:
            case Reported() | Ended():
                return msgspec.structs.replace(message, metrics=metrics(message.metrics))
            case Added() | Start() | Moved():
                return msgspec.structs.replace(message, config=config(message.config))
            case _:
                return message

    return Entry(entry.number, entry.now, changed(entry.event), [changed(action) for action in entry.actions])


class EntryWriter:
    """Makes lines of entries; `known` are the large values that the journal has already, by their digests."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = set(known)

    def line(self, entry: Entry) -> bytes:
        """The next line. Raises UsageError for a value that cannot be written."""
        return line_of(_with_values(entry, pack, self._pack_config))

    def _pack_config(self, config: dict[str, Any] | None) -> dict[str, Any] | None:
        if config is None:
            return None
        packed = pack(config)
        return {key: self._once(value) for key, value in packed.items()}

    def _once(self, packed: Any) -> Any:
        if not isinstance(packed, (str, list, dict)):
            return packed
        text = _ENCODER.encode(packed)
        if len(text) <= LARGE:
            return packed
        digest = xxhash.xxh3_128_hexdigest(text)
        if digest in self._known:
            return {"~": ["large", digest]}
        self._known.add(digest)
        return {"~": ["large", digest, packed]}


class EntryReader:
    """Makes entries of lines, in the order in which they were written."""

    def __init__(self) -> None:
        self.large: dict[str, Any] = {}
        """Large values by their digests."""

    def entry(self, body: bytes) -> Entry:
        """The entry of a line's JSON; raises ValueError if it is none, or holds an object that cannot be loaded here."""
        try:
            return _with_values(_ENTRY.decode(body), unpack, self._unpack_config)
        except ValueError:
            raise
        except (LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
            raise ValueError(f"it holds a value that no journal holds: {type(error).__name__}: {error}") from error

    def _unpack_config(self, config: Mapping[str, Any] | None) -> dict[str, Any] | None:
        return None if config is None else {key: self._whole(value) for key, value in config.items()}

    def _whole(self, packed: Any) -> Any:
        match packed:
            case {"~": ["large", digest]}:
                return self.large[digest]
            case {"~": ["large", digest, value]}:
                self.large[digest] = unpack(value)
                return self.large[digest]
            case _:
                return unpack(packed)
