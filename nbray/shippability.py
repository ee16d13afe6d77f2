"""Says why a value cannot be sent: the path from it to the culprit, what that is, and what to do instead.

The path comes from the fallback pickler, which fails with the chain of objects that it was inside of. Between two of
them that the user knows lie others that only pickling makes (state tuples, copied dictionaries): a step of the path is
the next object that the last one holds under a name.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from nbray.by_value import used_globals
from nbray.errors import NbrayError, NotShippable
from nbray.fallback_pickler import FallbackPickler

MAX_STEPS = 10
MAX_SEARCHED = 100_000
"""So many items of one container are looked through for the next step."""

_OPEN_INSIDE = "Pass what it takes to open it (a path, an address) and open it inside the function"
_LOCK = "Make it inside the function, or leave it out of the object's state (__getstate__)"
_FILE = ("an open file", "Pass the path and open it inside the function")
_CONNECTION = ("a database connection", "Pass the address and connect inside the function")
_PENDING = ("an asyncio future", "Await it here and pass its result")
_POOL = ("a pool of workers", "Make it inside the function, or use nbray.map there")

_KINDS: dict[str, tuple[str, str]] = {
    "_thread.lock": ("a thread lock", _LOCK),
    "_thread.RLock": ("a thread lock", _LOCK),
    "threading.Condition": ("a threading.Condition", _LOCK),
    "threading.Event": ("a threading.Event", _LOCK),
    "threading.Semaphore": ("a threading.Semaphore", _LOCK),
    "threading.Thread": ("a thread", "Start it inside the function"),
    "_thread._local": ("a threading.local", "Make it inside the function, or pass the value that it holds"),
    "queue.Queue": ("a queue.Queue", "It works only between threads of one process: pass a list, and return results"),
    "_io._IOBase": _FILE,
    "tempfile._TemporaryFileWrapper": _FILE,
    "builtins.generator": ("a generator", "Pass a list, or call the function that makes it inside the task"),
    "builtins.async_generator": ("an async generator", "Call the function that makes it inside the task"),
    "builtins.coroutine": ("a running coroutine", "Await it here and pass its result, or pass the async function itself"),
    "_asyncio.Future": _PENDING,
    "asyncio.futures.Future": _PENDING,
    "asyncio.events.AbstractEventLoop": ("an event loop", "Use asyncio.run(...) inside the function"),
    "concurrent.futures._base.Future": ("a concurrent.futures.Future", "Pass its .result()"),
    "concurrent.futures._base.Executor": _POOL,
    "multiprocessing.pool.Pool": _POOL,
    "builtins.frame": ("a running frame", "Pass the values that you need from it"),
    "builtins.traceback": ("a traceback", "Pass the text: traceback.format_exception(error)"),
    "_socket.socket": ("a socket", _OPEN_INSIDE),
    "ssl.SSLContext": ("an SSL context", "Make it inside the function"),
    "subprocess.Popen": ("a running process", "Start it inside the function, or pass what it printed"),
    "mmap.mmap": ("a memory-mapped file", "Pass the path and map it inside the function"),
    "sqlite3.Connection": _CONNECTION,
    "sqlite3.Cursor": ("a database cursor", "Fetch the rows here, or connect inside the function"),
    "_contextvars.ContextVar": ("a context variable", "Pass the value that it holds"),
    "h5py._hl.files.File": ("an open HDF5 file", "Pass the path and open it inside the function"),
}
"""What an object is and what to do instead, by the qualified name of its class or of a base class."""

_HOLD_STILL = (
    "Another thread writes to it meanwhile: let that wait, under a lock that you hold here too, or send a copy that was made so"
)

_PICKLING_METHODS = ("__getstate__", "__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")


def dump_or_explain(
    pickler: FallbackPickler, value: Any, name: str, first_error: Exception,
    *, is_call: bool = False, subject: Any = None,
) -> None:  # fmt: skip
    """Pickle what the C pickler refused with `first_error`; raises NotShippable.

    With `is_call` the value is `(args, kwargs)` of `name`; `subject` is the part of it that the user calls `name`.
    """
    error = first_error
    if not isinstance(first_error, RecursionError):
        try:
            pickler.dump(value)
            return
        except (NbrayError, MemoryError):
            raise
        except Exception as failure:  # noqa: BLE001 - a value's own __reduce__ may raise anything
            error = failure
    if isinstance(error, RecursionError):
        raise NotShippable(_too_deep(name or "the value")) from None
    # The frames of the picklers tell a user nothing; those of the value's own code do.
    own_code = _own_code(error)
    cause = None if own_code is None else error.with_traceback(own_code)
    raise NotShippable(_explain(_from(subject, pickler.trail), name, error, is_call)) from cause


def _too_deep(root: str) -> str:
    return (
        f"{root} cannot be sent: it is nested too deeply to be pickled (some hundred levels work). "
        "Flatten it, for example into a list of nodes that refer to each other by index."
    )


def _explain(trail: list[Any], name: str, error: Exception, is_call: bool) -> str:
    objects, steps = _path(trail, name, is_call)
    for position, obj in enumerate(objects):
        known = _known_kind(obj)
        if known is not None:
            what, advice = known
            steps = steps[: position + 1]
            break
    else:
        what, advice = _unknown_kind(trail[-1], error)
    if len(steps) == 1:
        return f"{steps[0]} cannot be sent: it is {what}. {advice}."
    if len(steps) > MAX_STEPS:
        steps = [*steps[: MAX_STEPS // 2], "...", *steps[-MAX_STEPS // 2 :]]
    return f"{steps[0]} cannot be sent: {' -> '.join(steps)}: {what}. {advice}."


# -------------------------------------------------------------------- the path


def _from(subject: Any, trail: list[Any]) -> list[Any]:
    return next((trail[index:] for index, obj in enumerate(trail) if obj is subject), trail)


def _path(trail: list[Any], name: str, is_call: bool) -> tuple[list[Any], list[str]]:
    """The objects on the way that the user knows, and what to call each."""
    start = 0
    first = name or f"the {type(trail[0]).__name__}"
    if is_call and len(trail) > 2:
        start = 2
        first = f"{_argument(trail[1], trail[2])} of {name}"
    objects, steps = [trail[start]], [first]
    for obj in trail[start + 1 :]:
        label = _label(objects[-1], obj)
        if label is not None:
            objects.append(obj)
            steps.append(label)
    if objects[-1] is not trail[-1]:
        return [*objects, trail[-1]], [*steps, "..."]
    return objects, steps


def _argument(arguments: Any, value: Any) -> str:
    label = _label(arguments, value) or ""
    return f"argument {int(label[1:-1]) + 1}" if isinstance(arguments, tuple) else f"argument {label[2:-2]}="


def _label(owner: Any, obj: Any) -> str | None:
    """Under which name `owner` holds `obj`, if it does."""
    return next((label for label, held in islice(_holdings(owner), MAX_SEARCHED) if held is obj), None)


def _holdings(owner: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(owner, types.FunctionType):
        yield from _of_function(owner)
    elif isinstance(owner, dict):
        yield from ((f"[{_short(key)}]", value) for key, value in owner.items())
        yield from ((f"the key {_short(key)}", key) for key in owner)
    elif isinstance(owner, list | tuple):
        yield from ((f"[{index}]", item) for index, item in enumerate(owner))
    elif isinstance(owner, set | frozenset):
        yield from (("an element", item) for item in owner)
    elif isinstance(owner, functools.partial):
        yield "func", owner.func
        yield from ((f"argument {index}", item) for index, item in enumerate(owner.args, 1))
        yield from ((f"argument {name}=", item) for name, item in owner.keywords.items())
    elif isinstance(owner, types.MethodType):
        yield "__self__", owner.__self__
        yield "__func__", owner.__func__
    elif type(owner).__name__ == "ndarray":
        yield from ((f"[{index}]", item) for index, item in enumerate(owner.flat))
    yield from _attributes(owner)


def _of_function(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    yield from used_globals(function).items()
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield variable, cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    defaults = function.__defaults__ or ()
    arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
    yield from zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True)
    yield from (function.__kwdefaults__ or {}).items()


def _attributes(owner: Any) -> Iterator[tuple[str, Any]]:
    attributes = getattr(owner, "__dict__", None)
    if isinstance(attributes, dict | types.MappingProxyType):
        yield from attributes.items()
    for cls in type(owner).__mro__:
        slots: Iterable[str] = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            yield name, getattr(owner, name, None)
    yield f"class {type(owner).__name__}", type(owner)


def _short(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= 40 else text[:37] + "..."


# -------------------------------------------------------------------- the culprit


def _known_kind(obj: Any) -> tuple[str, str] | None:
    for cls in type(obj).__mro__:
        known = _KINDS.get(f"{cls.__module__}.{cls.__qualname__}")
        if known is _FILE:
            return _describe_file(obj), known[1]
        if known is not None:
            return known
    name = type(obj).__name__.lower()
    if name.endswith(("connection", "cursor")):
        return f"a connection ({_class_of(obj)})", _CONNECTION[1]
    return None


def _describe_file(obj: Any) -> str:
    name = getattr(obj, "name", None)
    return f"the open file {name!r}" if isinstance(name, str) else _FILE[0]


def _unknown_kind(culprit: Any, error: Exception) -> tuple[str, str]:
    advice = "Leave it out, or give its class a __reduce__ that rebuilds it"
    own_code = _own_code(error)
    if own_code is not None:
        return f"its {own_code.tb_frame.f_code.co_name} raised {type(error).__name__}: {error}", advice
    if isinstance(error, RuntimeError) and str(error).endswith("during iteration"):
        return f"a {_class_of(culprit)} that changed while it was read to be sent ({error})", _HOLD_STILL
    return f"a {_class_of(culprit)}, which cannot be pickled ({error})", advice


def _own_code(error: Exception) -> types.TracebackType | None:
    """The traceback from the innermost pickling method of a class, written in Python, that raised the error."""
    frames = error.__traceback__
    found = None
    while frames is not None:
        if frames.tb_frame.f_code.co_name in _PICKLING_METHODS:
            found = frames
        frames = frames.tb_next
    return found


def _class_of(obj: Any) -> str:
    cls = type(obj)
    return cls.__qualname__ if cls.__module__ in ("builtins", "__main__") else f"{cls.__module__}.{cls.__qualname__}"
