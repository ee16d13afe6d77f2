"""How code that a worker cannot import travels: cloudpickle's reducers, and what they miss.

Added here: names that the body of a nested class reads, classes that come home (a class defined in this process is
never overwritten by the copy that a worker sends back), exceptions whose constructor takes other arguments than
`Exception` keeps, and IPython's `get_ipython`.
"""

from __future__ import annotations

import dis
import sys
import types
import weakref
from typing import Any

from cloudpickle import cloudpickle

from nbray.pickler import is_importable_module

_HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: set on classes made by a `class` statement, not on those written in C."""

_GLOBAL_OPERATIONS = frozenset(
    {"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
)

_guests: weakref.WeakSet[type] = weakref.WeakSet()
"""The classes that were built here from another process's pickle: only these take the state of later copies."""

_names_of_code: weakref.WeakKeyDictionary[types.CodeType, tuple[str, ...]] = weakref.WeakKeyDictionary()


class ByValue:
    """The by-value part of one pickling: functions with the same globals keep sharing them on the other side."""

    def __init__(self) -> None:
        self.globals_ref: dict[int, dict[str, Any]] = {}
        self.functions: list[types.FunctionType] = []

    def reduce_function(self, function: types.FunctionType) -> Any:
        self.functions.append(function)
        construction = cloudpickle.Pickler._function_getnewargs(self, function)
        state, slots = cloudpickle._function_getstate(function)
        slots["__globals__"] = used_globals(function)
        return cloudpickle._make_function, construction, (state, slots), None, None, cloudpickle._function_setstate

    def reduce_class(self, cls: type) -> Any:
        reduced = cloudpickle._class_reduce(cls)
        if reduced is NotImplemented and cls.__flags__ & _HEAP_TYPE:
            reduced = cloudpickle._dynamic_class_reduce(cls)
        if reduced is NotImplemented or len(reduced) < 6:
            return reduced
        make, arguments, state = reduced[:3]
        if not cls.__flags__ & _HEAP_TYPE:
            return NotImplemented
        return _make_class, (make, arguments), state, None, None, _restore_class

    def reduce_rare(self, obj: Any) -> Any:
        if isinstance(obj, types.ModuleType) and not is_importable_module(obj.__name__):
            state = {name: value for name, value in vars(obj).items() if name not in ("__builtins__", "__loader__")}
            state["__spec__"] = None
            return cloudpickle.dynamic_subimport, (obj.__name__, state)
        if isinstance(obj, types.MethodType) and obj.__name__ == "get_ipython":
            return getattr, (sys.modules["IPython"], "get_ipython")
        return cloudpickle.Pickler._dispatch_table[type(obj)](obj)

    def reduce_exception(self, error: BaseException) -> Any:
        """Keep pickle from calling a constructor written in Python with `error.args`: it may take other arguments."""
        reduced = error.__reduce_ex__(5)
        written_in_python = isinstance(getattr(type(error), "__init__", None), types.FunctionType)
        if not written_in_python or not isinstance(reduced, tuple) or reduced[0] is not type(error):
            return reduced
        state = reduced[2] if len(reduced) > 2 else None
        construction = (type(error), reduced[1], error.args)
        if type(error).__setstate__ is not BaseException.__setstate__:
            return rebuild_exception, construction, state
        return rebuild_exception, construction, state, None, None, restore_attributes


def rebuild_exception(cls: type[BaseException], construction: tuple[Any, ...], args: tuple[Any, ...]) -> BaseException:
    """Make an exception without calling its own `__init__`; the fields of its builtin base are filled in."""
    base: Any = next(ancestor for ancestor in cls.__mro__ if not ancestor.__flags__ & _HEAP_TYPE)
    error: BaseException = base.__new__(cls, *construction)
    base.__init__(error, *construction)
    BaseException.__setattr__(error, "args", args)  # the class may forbid it (a frozen dataclass)
    return error


def restore_attributes(error: BaseException, state: dict[str, Any]) -> None:
    """Give an exception its attributes back, also where its class forbids setting them."""
    error.__dict__.update(state)


def used_names(code: types.CodeType) -> tuple[str, ...]:
    """The global names that a function's code may read or write, in functions and classes nested in it too."""
    names = _names_of_code.get(code)
    if names is None:
        found = {step.argval: None for step in dis.get_instructions(code) if step.opname in _GLOBAL_OPERATIONS}
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                found.update(dict.fromkeys(used_names(constant)))
        names = _names_of_code[code] = tuple(found)
    return names


def used_globals(function: types.FunctionType) -> dict[str, Any]:
    """The globals that exist and that a function may use."""
    everything = function.__globals__
    return {name: everything[name] for name in used_names(function.__code__) if name in everything}


def _make_class(make: Any, arguments: tuple[Any, ...]) -> type:
    tracker_id = arguments[-2]
    known = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker_id)
    if known is not None:
        return known  # type: ignore[no-any-return]
    cls: type = make(*arguments)
    _guests.add(cls)
    return cls


def _restore_class(cls: type, state: Any) -> None:
    if cls in _guests:
        cloudpickle._class_setstate(cls, state)
