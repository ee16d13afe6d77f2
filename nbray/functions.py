"""Functions as bytes: pickled once, named by a hash of the bytes, their large captured values lifted into the store.

A pickled function is used again as long as everything by name that it and the functions it calls use is the very same
object: globals, closures, defaults, code. A value that is changed in place is noticed when the next cell begins.
"""

from __future__ import annotations

import functools
import io
import pickle
import threading
import types
from collections.abc import Callable
from typing import Any, NamedTuple

import xxhash

from nbray.errors import NbrayError, NotShippable
from nbray.ids import ObjectId
from nbray.pickler import PROTOCOL, FastPickler, ReferenceCollector
from nbray.serialization import load_error

LARGE = 64 * 1024
"""A captured value of so many bytes is lifted into the store."""

REMEMBERED = 256
"""So many functions are remembered within a cell run, with the values that they use."""

_ABSENT = object()
_LIFTABLE: dict[type, str] = {bytes: "bytes", bytearray: "bytearray", str: "str"}
_BYTES: dict[str, Callable[[Any], Any]] = {"bytes": bytes, "bytearray": bytearray}

Lift = Callable[[bytes | memoryview], ObjectId]
"""Put a buffer, unless one with the same bytes is there already; its id stays valid while functions use it."""

Function = Callable[..., Any]


class PickledFunction(NamedTuple):
    """A function as it travels; `nested` are the objects that it needs, the lifted ones included."""

    key: bytes
    """xxh3_128 of the blob."""
    name: str
    blob: bytes
    nested: list[ObjectId]


class FunctionPickler:
    """Pickles the functions of one process; any thread."""

    def __init__(self, lift: Lift) -> None:
        self._lift = lift
        # Held while a function is pickled and remembered, so that `new_cell` forgets that one too; reading needs no
        # lock. Reentrant, since a captured value's own __reduce__ may submit a task.
        self._lock = threading.RLock()
        self._remembered: dict[int, _Remembered] = {}

    def pickle(self, function: Function) -> PickledFunction:
        """The bytes of a function as it is now; about a microsecond when nothing has changed. Raises NotShippable."""
        remembered = self._remembered.get(id(function))
        if remembered is not None and remembered.is_current():
            return remembered.pickled
        with self._lock:
            remembered = _pickle(function, self._lift)
            while len(self._remembered) >= REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[id(function)] = remembered
            return remembered.pickled

    def new_cell(self) -> None:
        """A new cell run begins: what was changed in place since is noticed, and no used value is kept alive."""
        with self._lock:
            self._remembered.clear()


def load_function(blob: bytes, resolve: Callable[[ObjectId], Any]) -> Function:
    """Rebuild a function; `resolve` gives the value of a lifted object. Raises NotShippable.

    Arrays that the function has captured are read-only.
    """
    name, buffers, stream = pickle.loads(blob)
    if isinstance(stream, int):
        stream = resolve(ObjectId(stream))
    views = [memoryview(resolve(ObjectId(buffer)) if isinstance(buffer, int) else buffer) for buffer in buffers]
    try:
        function: Function = _Unpickler(io.BytesIO(stream), views, resolve).load()
    except NbrayError:
        raise
    except Exception as error:
        raise NotShippable(f"function {name}: {load_error(error, stream)}") from error
    return function


def name_of(function: Function) -> str:
    """What to call a function in messages."""
    function = _subject(function)
    inner = getattr(function, "func", function)  # functools.partial
    return str(getattr(inner, "__name__", type(function).__name__))


def _subject(function: Any) -> Any:
    """The user's own function, when one of nbray's (that of nbray.map) is bound to it."""
    while isinstance(function, functools.partial) and function.args and callable(function.args[0]):
        if not str(getattr(function.func, "__module__", "")).startswith("nbray."):
            break
        function = function.args[0]
    return function


class _Remembered:
    """A pickled function and everything that, if rebound, makes it pickle differently."""

    __slots__ = ("_cells", "_functions", "_globals", "function", "pickled")

    def __init__(self, function: Function, pickled: PickledFunction, used: list[types.FunctionType]) -> None:
        from nbray.by_value import used_names

        self.function = function  # kept alive: it is remembered by its id
        self.pickled = pickled
        self._functions = [(each, each.__code__, each.__defaults__, each.__kwdefaults__) for each in used]
        self._cells = [(cell, _contents(cell)) for each in used for cell in each.__closure__ or ()]
        found = {
            (id(each.__globals__), name): (each.__globals__, name, each.__globals__.get(name, _ABSENT))
            for each in used
            for name in used_names(each.__code__)
        }
        self._globals = list(found.values())

    def is_current(self) -> bool:
        for namespace, name, value in self._globals:
            if namespace.get(name, _ABSENT) is not value:
                return False
        for cell, value in self._cells:
            if _contents(cell) is not value:
                return False
        for function, code, defaults, kwdefaults in self._functions:
            if (
                function.__code__ is not code
                or function.__defaults__ is not defaults
                or function.__kwdefaults__ is not kwdefaults
            ):
                return False
        return True


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # a variable that is not assigned yet
        return _ABSENT


class _Lifting:
    """The buffers of one function: small ones inside the blob, large ones as objects of the store."""

    def __init__(self, lift: Lift) -> None:
        self._lift = lift
        self._texts: dict[int, tuple[tuple[str, ObjectId, int], Any]] = {}
        self.buffers: list[bytes | ObjectId] = []
        self.lifted: list[ObjectId] = []

    def keep(self, buffer: pickle.PickleBuffer) -> None:
        view = buffer.raw()
        self.buffers.append(self.lift(view) if len(view) >= LARGE else bytes(view))

    def lift(self, data: bytes | memoryview) -> ObjectId:
        object_id = self._lift(data)
        self.lifted.append(object_id)
        return object_id

    def persistent_id(self, obj: Any) -> Any:
        """Large text and bytes, which pickle would copy into its stream."""
        kind = _LIFTABLE.get(type(obj))
        if kind is None or len(obj) < LARGE:
            return None
        known = self._texts.get(id(obj))
        if known is None:
            data = obj.encode("utf-8", "surrogatepass") if kind == "str" else obj
            known = self._texts[id(obj)] = ((kind, self.lift(data), len(self._texts)), obj)
        return known[0]


class _FastFunctionPickler(FastPickler):
    def __init__(self, file: io.BytesIO, lifting: _Lifting) -> None:
        super().__init__(file, PROTOCOL, buffer_callback=lifting.keep)
        self.persistent_id = lifting.persistent_id  # type: ignore[method-assign]


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, views: list[memoryview], resolve: Callable[[ObjectId], Any]) -> None:
        super().__init__(file, buffers=views)
        self._resolve = resolve
        self._texts: dict[Any, Any] = {}

    def persistent_load(self, pid: Any) -> Any:
        if pid not in self._texts:
            kind, object_id, _ = pid
            view = self._resolve(ObjectId(object_id))
            self._texts[pid] = str(view, "utf-8", "surrogatepass") if kind == "str" else _BYTES[kind](view)
        return self._texts[pid]


def _pickle(function: Function, lift: Lift) -> _Remembered:
    name = name_of(function)
    with ReferenceCollector() as nested:
        try:
            stream, lifting, used = _pickle_fast(function, lift)
        except (NbrayError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a captured value's own __reduce__ may raise anything
            nested.clear()
            stream, lifting, used = _pickle_fallback(function, name, lift, error)
    body = lifting.lift(stream) if len(stream) >= LARGE else stream
    blob = pickle.dumps((name, lifting.buffers, body), PROTOCOL)
    pickled = PickledFunction(xxhash.xxh3_128_digest(blob), name, blob, [*nested, *lifting.lifted])
    return _Remembered(function, pickled, used)


_Parts = tuple[bytes, _Lifting, list[types.FunctionType]]


def _pickle_fast(function: Function, lift: Lift) -> _Parts:
    file = io.BytesIO()
    lifting = _Lifting(lift)
    pickler = _FastFunctionPickler(file, lifting)
    pickler.dump(function)
    return file.getvalue(), lifting, pickler.functions


def _pickle_fallback(function: Function, name: str, lift: Lift, error: Exception) -> _Parts:
    from nbray.fallback_pickler import FallbackPickler
    from nbray.shippability import dump_or_explain

    file = io.BytesIO()
    lifting = _Lifting(lift)
    pickler = FallbackPickler(file, lifting.keep, lifting.persistent_id)
    dump_or_explain(pickler, function, name, error, subject=_subject(function))
    return file.getvalue(), lifting, pickler.functions
