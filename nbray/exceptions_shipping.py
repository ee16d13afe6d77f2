"""Exceptions on their way from a task to its caller: rebuilt as they were, or told as text where that cannot be.

What travels is proven in the worker: the pickle is loaded there again before it is sent, so that the driver meets no
surprise. The traceback travels as text, with the source lines of notebook cells, and begins with the user's own frames.
"""

from __future__ import annotations

import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from nbray import dual_errors, frame_snapshots, sources
from nbray.errors import NbrayError, RemoteError, RemoteTraceback
from nbray.serialization import dumps, encode, loads

MAX_TEXT = 64 * 1024
"""Longest message, traceback or argument, in characters; the middle of what is longer is left out."""

MAX_PICKLE = 1024 * 1024
"""Largest pickled exception; beyond, its arguments are cut like texts."""

MAX_CHAIN = 10
"""So many exceptions of a chain of causes are shown."""

_PACKAGE = str(Path(__file__).parent)

_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


class DumpedException(NamedTuple):
    """An exception as it travels; `pickled` is empty when it cannot be rebuilt."""

    pickled: bytes
    type_name: str
    message: str
    traceback: str
    frames: str = ""
    """The file with its frames, for post-mortems; "" where none is kept."""


def dump_exception(error: BaseException) -> DumpedException:
    """Never raises on account of the exception: its __reduce__, __str__ and __repr__ may fail as they like."""
    text, frames = format_traceback(error), frame_snapshots.keep(error)
    error = dual_errors.original(error)  # of an exception that came from another task
    return DumpedException(_pickled(error), _type_name(type(error)), _message(error), text, frames)


def load_exception(pickled: bytes, type_name: str, message: str, text: str, frames: str = "") -> BaseException:
    """The original exception, or a RemoteError in its stead, with the remote traceback as its cause; never raises."""
    error = _loaded(pickled) if pickled else None
    if error is None:
        error = RemoteError(type_name, message)
    _set(error, __cause__=RemoteTraceback(sources.with_cell_labels(text)))
    if frames:
        _set(error, **{frame_snapshots.ATTRIBUTE: frames})
    return error


def format_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, from the first frame that is not nbray's, chain included, cut to 64 KiB."""
    links = list(_chain(error))
    parts = [_format_link(link) + ("" if joint is None else f"\n{joint}\n\n") for link, joint in reversed(links)]
    if len(links) == MAX_CHAIN:
        parts.insert(0, f"(only the last {MAX_CHAIN} exceptions of the chain are shown)\n\n")
    return cut("".join(parts))


def cut(text: str) -> str:
    """The text itself, or its beginning and end when it is longer than MAX_TEXT; what is no character is written out."""
    text = text.encode("utf-8", "backslashreplace").decode()
    if len(text) <= MAX_TEXT:
        return text
    half = MAX_TEXT // 2 - 50
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def add_note(error: BaseException, note: str) -> None:
    """`error.add_note`, also where the exception's class forbids setting attributes (a frozen dataclass)."""
    notes = getattr(error, "__notes__", ())
    BaseException.__setattr__(error, "__notes__", [*notes, note] if isinstance(notes, list | tuple) else [note])


# -------------------------------------------------------------------- the exception itself


class _Slimmed:
    """Pickles as an exception of the same type, with texts cut and without what cannot be sent."""

    def __init__(self, error: BaseException) -> None:
        self._cls = type(error)
        self._args = tuple(_slim(argument) for argument in error.args)
        own = getattr(error, "__dict__", {})
        self._state = {name: value for name, value in own.items() if _is_small(value)}

    def __reduce__(self) -> Any:
        from nbray.by_value import restore_attributes

        construction = (self._cls, self._args, self._args)
        return dual_errors.rebuild, construction, self._state, None, None, restore_attributes


def _pickled(error: BaseException) -> bytes:
    for original in (lambda: error, lambda: _Slimmed(error)):
        frame = _proven(original)
        if 0 < len(frame) <= MAX_PICKLE:
            return frame
    return b""


def _proven(make: Any) -> bytes:
    """The frame of an exception that comes back as an exception; else nothing."""
    try:
        frame = encode(dumps(make()))
    except NbrayError:
        return b""
    return frame if _loaded(frame) is not None else b""


def _loaded(pickled: bytes) -> BaseException | None:
    try:
        error = loads(pickled)
    except NbrayError:
        return None
    return error if isinstance(error, BaseException) else None


def _slim(argument: Any) -> Any:
    if isinstance(argument, str):
        return cut(argument)
    if isinstance(argument, bytes | bytearray):
        return argument[:MAX_TEXT]
    return argument if _is_small(argument) else _described(argument)


def _is_small(value: Any) -> bool:
    try:
        return len(encode(dumps(value))) <= MAX_TEXT
    except NbrayError:
        return False


# -------------------------------------------------------------------- its texts


def _type_name(cls: type) -> str:
    module = cls.__module__
    return cls.__qualname__ if module in ("builtins", "__main__") else f"{module}.{cls.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return cut(str(error))
    except Exception as failure:  # noqa: BLE001 - the user's own __str__
        return f"<its text cannot be made: {type(failure).__name__}>"


def _described(value: Any) -> str:
    try:
        return cut(repr(value))
    except Exception as failure:  # noqa: BLE001 - the user's own __repr__
        return f"<{type(value).__name__}, whose repr raises {type(failure).__name__}>"


def _chain(error: BaseException) -> Iterator[tuple[BaseException, str | None]]:
    """The exception, then what caused it, and so on; with each the words that lead on to the newer one."""
    seen: set[int] = set()
    link: BaseException | None = error
    joint = None
    while link is not None and id(link) not in seen and len(seen) < MAX_CHAIN:
        seen.add(id(link))
        yield link, joint
        if link.__cause__ is not None:
            link, joint = link.__cause__, _CAUSE
        else:
            link, joint = (None if link.__suppress_context__ else link.__context__), _CONTEXT


def _format_link(error: BaseException) -> str:
    frames = _user_frames(error)
    message = _message(error)
    if len(message) >= MAX_TEXT - 100:  # the traceback module would copy a message of 100 MB several times
        stack = "".join(traceback.format_tb(frames))
        return f"Traceback (most recent call last):\n{stack}{_type_name(type(error))}: {message}\n"
    # The traceback module follows the whole chain, however long, even when it is not to be shown.
    cause, context, suppress = error.__cause__, error.__context__, error.__suppress_context__
    _set(error, __cause__=None, __context__=None)
    try:
        return "".join(traceback.TracebackException(type(error), error, frames, compact=True).format(chain=False))
    finally:
        _set(error, __cause__=cause, __context__=context, __suppress_context__=suppress)


def _set(error: BaseException, **attributes: Any) -> None:
    for name, value in attributes.items():
        BaseException.__setattr__(error, name, value)


def _user_frames(error: BaseException) -> types.TracebackType | None:
    """The traceback from the first frame outside nbray; without one, all of it, unless nbray only says what is wrong."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frames = frames.tb_next
    whole = error.__traceback__
    if frames is not None or whole is None or whole.tb_next is None or isinstance(error, NbrayError):
        return frames
    return whole
