"""The pickler of nbray: C speed, code that a worker cannot import goes by value, arrays always out of band.

Two picklers share one set of rules: `FastPickler` (pickle's C pickler) and, for what it refuses, the pure-Python
`FallbackPickler`, which knows dill's types and remembers the way to the culprit. The heavy parts load at first need:
`nbray.by_value` (cloudpickle) with the first function or class of a notebook, `nbray.fallback_pickler` (dill) with the
first value that the C pickler refuses.
"""

from __future__ import annotations

import functools
import io
import pickle
import threading
import types
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbray.ids import ObjectId
from nbray.importability import is_importable

if TYPE_CHECKING:
    from nbray.by_value import ByValue

PROTOCOL = 5


class _Collected(threading.local):
    nested: list[ObjectId] | None = None


_collected = _Collected()


def note_reference(object_id: ObjectId) -> None:
    """Called by an ObjectRef that is being pickled, so that the bytes keep its object alive; outside: no effect."""
    if _collected.nested is not None:
        _collected.nested.append(object_id)


def notes_references() -> bool:
    """Whether this thread pickles for nbray, so that what is on the cluster may travel as a reference."""
    return _collected.nested is not None


class ReferenceCollector:
    """Within it, the ids of the ObjectRefs that this thread pickles go into a list; the innermost one collects."""

    __slots__ = ("_outer",)

    def __enter__(self) -> list[ObjectId]:
        self._outer = _collected.nested
        nested: list[ObjectId] = []
        _collected.nested = nested
        return nested

    def __exit__(self, *_: object) -> None:
        _collected.nested = self._outer


class Rules:
    """How to reduce what plain pickle gets wrong; mixed into both picklers, which call it for nearly every object."""

    _by_value: ByValue | None = None

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        rule = _RULES.get(kind)
        if rule is not None:
            return rule(self, obj)
        if issubclass(kind, type):
            return NotImplemented if is_importable(obj) else self.by_value.reduce_class(obj)
        if issubclass(kind, BaseException):
            return self.by_value.reduce_exception(obj)
        module = kind.__module__
        if module == "numpy" and kind.__name__ == "ndarray":
            _RULES[kind] = _reduce_array
            return _reduce_array(self, obj)
        if module.__class__ is str and module[:6] in _MAY_NEED_SETTERS:  # cheap: nearly every object comes through here
            return _with_setter(obj, _setter(module, kind.__name__))
        return NotImplemented

    @property
    def by_value(self) -> ByValue:
        """The state of this pickling for code that goes by value, made when the first such code is met."""
        if self._by_value is None:
            # Loaded at first need: plain data does without cloudpickle, and so may a process that only handles such.
            from nbray.by_value import RARE_KINDS, ByValue

            for kind in RARE_KINDS:
                _RULES.setdefault(kind, _reduce_rare)
            self._by_value = ByValue()
        return self._by_value

    @property
    def functions(self) -> list[types.FunctionType]:
        """The functions pickled by value so far."""
        return [] if self._by_value is None else self._by_value.functions


class FastPickler(Rules, pickle.Pickler):
    """pickle's C pickler with nbray's rules."""


def _reduce_function(pickler: Rules, function: types.FunctionType) -> Any:
    if function is make_array:
        return NotImplemented
    return NotImplemented if is_importable(function) else pickler.by_value.reduce_function(function)


def _reduce_array(pickler: Rules, array: Any) -> Any:
    dtype = array.dtype
    if dtype.hasobject:
        return NotImplemented
    if not array.flags.forc:
        # numpy would pickle a strided array in band: it would be copied twice and arrive writable.
        array = array.copy()
    if dtype.kind in "mM":
        # Times do not speak the buffer protocol; numpy would pickle them in band.
        buffer = pickle.PickleBuffer(array.view("i8"))
    elif dtype.isbuiltin == 1:
        buffer = pickle.PickleBuffer(array)
    else:
        return array.__reduce_ex__(PROTOCOL)
    # Half the time that numpy's own reduction takes, both ways: no dtype object, one name to look up.
    return make_array, (dtype.str, array.shape, array.flags.c_contiguous, buffer)


def make_array(dtype: str, shape: tuple[int, ...], c_order: bool, buffer: Any) -> Any:
    """An array over `buffer`, read-only when that is."""
    from numpy import ndarray

    return ndarray(shape, dtype, buffer, order="C" if c_order else "F")


Setter = Callable[[Any, dict[str, Any]], None]
_MAY_NEED_SETTERS = ("matplo", "pandas")


def _setter(module: str, name: str) -> Setter | None:
    """What restores objects of this type, where they cannot live with the read-only arrays that arrive."""
    if module.startswith("matplotlib."):
        return set_own_state
    return set_shared_state if module.partition(".")[0] == "pandas" and name in ("DataFrame", "Series") else None


def _with_setter(obj: Any, setter: Setter | None) -> Any:
    """The object's own reduction, with another way to restore its state."""
    if setter is None:
        return NotImplemented
    reduced = obj.__reduce_ex__(PROTOCOL)
    if not isinstance(reduced, tuple) or not 3 <= len(reduced) <= 5 or type(reduced[2]) is not dict:
        return reduced
    return (*reduced, *(None,) * (5 - len(reduced)), setter)


def set_own_state(obj: Any, state: dict[str, Any]) -> None:
    """Restore an object with copies of those arrays of its own that arrived read-only.

    Figures with all their parts change small arrays of theirs in place whenever they are drawn.
    """
    own = {name: value.copy() if _is_read_only(value) else value for name, value in state.items()}
    if hasattr(obj, "__setstate__"):
        obj.__setstate__(own)
    else:
        vars(obj).update(own)


def set_shared_state(frame: Any, state: dict[str, Any]) -> None:
    """Restore a pandas frame so that it can be changed in place although its arrays arrived read-only.

    Pandas 3 copies what it shares with another frame before it writes there: this one shares all of it with a second one.
    """
    frame.__setstate__(state)
    object.__setattr__(frame, "_nbray_shared", frame.copy(deep=False))


def _is_read_only(value: Any) -> bool:
    return type(value).__name__ == "ndarray" and not value.flags.writeable


def _reduce_rare(pickler: Rules, obj: Any) -> Any:
    return pickler.by_value.reduce_rare(obj)


Rule = Callable[[Any, Any], Any]

_RULES: dict[type, Rule] = {
    types.FunctionType: _reduce_function,
    types.ModuleType: _reduce_rare,
    types.MethodType: _reduce_rare,
    typing.TypeVar: _reduce_rare,
    typing.ParamSpec: _reduce_rare,
    typing.TypeVarTuple: _reduce_rare,
    typing.NewType: _reduce_rare,
    functools._lru_cache_wrapper: _reduce_rare,
}


def pickle_fast(value: Any, buffer_callback: Callable[[pickle.PickleBuffer], Any]) -> bytes:
    """Pickle with `FastPickler`; raises whatever pickling raises."""
    file = io.BytesIO()
    FastPickler(file, PROTOCOL, buffer_callback=buffer_callback).dump(value)
    return file.getvalue()
