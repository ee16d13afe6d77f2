"""How code that a worker cannot import travels: cloudpickle's reducers, and what they miss.

Added here: names that the body of a nested class reads, classes that come home (a class defined in this process is
never overwritten by the copy that a worker sends back), exceptions whose constructor takes other arguments than
`Exception` keeps, and IPython's `get_ipython`.
"""

from __future__ import annotations

import dis
import functools
import io
import logging
import sys
import types
import typing
import weakref
from collections.abc import Callable
from typing import Any

from cloudpickle import cloudpickle

from nbray import sources
from nbray.dual_errors import rebuild
from nbray.importability import is_importable, is_importable_module

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
        self._sources: set[str] = set()

    def reduce_function(self, function: types.FunctionType) -> Any:
        self.functions.append(function)
        code, namespace, *_ = cloudpickle.Pickler._function_getnewargs(self, function)
        attributes, slots = cloudpickle._function_getstate(function)
        slots["__globals__"] = used_globals(function)
        # The cells themselves travel, so that functions which share one still do; cloudpickle gives each a copy.
        slots["__closure__"] = None
        construction = (code, namespace, None, None, function.__closure__)
        state = (attributes, slots, self._new_source(code.co_filename))
        return cloudpickle._make_function, construction, state, None, None, _restore_function

    def _new_source(self, filename: str) -> str:
        """The text of the cell in which a function was written, once."""
        if filename in self._sources:
            return ""
        self._sources.add(filename)
        return sources.of_file(filename)

    def reduce_class(self, cls: type) -> Any:
        if not cls.__flags__ & _HEAP_TYPE:  # written in C: a name such as types.NoneType, or nothing
            reduced = cloudpickle._class_reduce(cls)
            return reduced if reduced is NotImplemented or len(reduced) == 2 else NotImplemented
        make, arguments, (attributes, slots), *_ = cloudpickle._dynamic_class_reduce(cls)
        if "__slots__" in cls.__dict__ and not hasattr(cls, "_fields"):  # a NamedTuple sets its own
            arguments[3]["__slots__"] = cls.__dict__["__slots__"]
            attributes = {name: value for name, value in attributes.items() if not _is_slot(value, cls)}
        return _make_class, (make, arguments), (attributes, slots), None, None, _restore_class

    def reduce_rare(self, obj: Any) -> Any:
        return _RARE[type(obj)](obj)

    def reduce_exception(self, error: BaseException) -> Any:
        """Keep pickle from calling a constructor written in Python with `error.args`: it may take other arguments."""
        reduced = error.__reduce_ex__(5)
        written_in_python = isinstance(getattr(type(error), "__init__", None), types.FunctionType)
        if not written_in_python or not isinstance(reduced, tuple) or reduced[0] is not type(error):
            return reduced
        state = reduced[2] if len(reduced) > 2 else None
        construction = (type(error), reduced[1], error.args)
        if type(error).__setstate__ is not BaseException.__setstate__:
            return rebuild, construction, state
        return rebuild, construction, state, None, None, restore_attributes


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


def _contents(cell: types.CellType) -> tuple[Any, ...]:
    """What a cell holds, in a tuple; an empty one as long as its variable is not assigned."""
    try:
        return (cell.cell_contents,)
    except ValueError:
        return ()


def _fill(cell: types.CellType, contents: tuple[Any, ...]) -> None:
    if contents:
        cell.cell_contents = contents[0]


def _restore_function(function: types.FunctionType, state: Any) -> None:
    attributes, slots, source = state
    if source:
        sources.install(function.__code__.co_filename, source)
    cloudpickle._function_setstate(function, (attributes, slots))


def _is_slot(value: Any, cls: type) -> bool:
    return isinstance(value, types.MemberDescriptorType) and value.__objclass__ is cls


def _make_lru_cache(function: Any, parameters: dict[str, Any]) -> Any:
    return functools.lru_cache(**parameters)(function)


def _make_cached_property(function: Any, name: str | None) -> functools.cached_property[Any]:
    # Until Python 3.12 it holds a lock; and it is told its name only by a `class` statement.
    made = functools.cached_property(function)
    made.attrname = name
    return made


def leave_home(cls: type) -> None:
    """A class that was made here belongs to another process from now on: its later copies are taken over here."""
    _guests.add(cls)


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


def _reduce_module(module: types.ModuleType) -> Any:
    if is_importable_module(module.__name__):
        return cloudpickle.subimport, (module.__name__,)
    left_out = ("__builtins__", "__loader__", "__spec__")
    state = {name: value for name, value in vars(module).items() if name not in left_out}
    return cloudpickle.dynamic_subimport, (module.__name__, state)


def _reduce_cell(cell: types.CellType) -> Any:
    # Empty first: what it holds may be the function that is being pickled around it.
    return cloudpickle._make_empty_cell, (), _contents(cell), None, None, _fill


def _reduce_method(method: types.MethodType) -> Any:
    if getattr(method, "__name__", "") == "get_ipython" and "IPython" in sys.modules:
        return getattr, (sys.modules["IPython"], "get_ipython")  # the worker's own shell, not ours
    return types.MethodType, (method.__func__, method.__self__)


def _reduce_new_type(new_type: typing.NewType) -> Any:
    if is_importable(new_type):
        return NotImplemented
    return typing.NewType, (new_type.__name__, new_type.__supertype__)


def _reduce_lru_cache(cached: Any) -> Any:
    # By itself it pickles as a name, which means nothing where there is no such `__main__`. It arrives empty.
    if is_importable(cached):
        return NotImplemented
    return _make_lru_cache, (cached.__wrapped__, cached.cache_parameters())


def _reduce_named(variable: typing.ParamSpec | typing.TypeVarTuple) -> Any:
    return type(variable), (variable.__name__,)


def _reduce_cached_property(cached: functools.cached_property[Any]) -> Any:
    return _make_cached_property, (cached.func, cached.attrname)


_NOT_TAKEN = (io.TextIOWrapper, logging.Logger, logging.RootLogger)
"""cloudpickle would send the contents of an open file; loggers pickle by themselves."""

_RARE: dict[type, Callable[[Any], Any]] = {
    **{kind: rule for kind, rule in cloudpickle.Pickler._dispatch_table.items() if kind not in _NOT_TAKEN},
    types.ModuleType: _reduce_module,
    types.MethodType: _reduce_method,
    types.CellType: _reduce_cell,
    typing.NewType: _reduce_new_type,
    typing.ParamSpec: _reduce_named,
    typing.TypeVarTuple: _reduce_named,
    functools.cached_property: _reduce_cached_property,
    functools._lru_cache_wrapper: _reduce_lru_cache,
}

RARE_KINDS = tuple(_RARE)
"""The types whose objects go through `ByValue.reduce_rare`; plain pickle refuses them or sends a mere name."""
