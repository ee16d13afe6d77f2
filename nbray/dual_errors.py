"""Exceptions that are two things at once: what a task raised, and a `RemoteError`.

    get(ref) raises RemoteError(Overdrawn), an instance of Overdrawn, of its bases, and of RemoteError

A class for each class of exception is made when it is first needed. Its instances have the fields and methods of the
original; no constructor of the user's is called, since nobody knows its arguments. Where a class cannot be a base (its metaclass
or its `__init_subclass__` refuses), the plain original is raised, as it was.
"""

from __future__ import annotations

import contextlib
import types
import weakref
from collections.abc import Iterator
from typing import Any

from nbray.errors import RemoteError

_HEAP_TYPE = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: set on classes made by a `class` statement, not on those written in C."""

_FIELDS = (types.MemberDescriptorType, types.GetSetDescriptorType)
_ABSENT = object()
_CONNECTIONS = ("__traceback__", "__cause__", "__context__", "__suppress_context__")

_duals: weakref.WeakKeyDictionary[type, weakref.ref[type]] = weakref.WeakKeyDictionary()
"""By the user's class; weak both ways, since a notebook defines its classes again and again."""


def as_remote(error: BaseException) -> BaseException:
    """The exception as an instance of its own class and of RemoteError; itself where that cannot be."""
    if isinstance(error, RemoteError) or not isinstance(error, Exception):
        return error
    try:
        return _copy(error, _dual_of(type(error)))
    except Exception:  # noqa: BLE001 - what the user's metaclass or __init_subclass__ raises; the original is as good
        return error


def original(error: BaseException) -> BaseException:
    """The plain exception behind one that `as_remote` made; any other one is itself."""
    cls = original_class(type(error))
    return error if cls is type(error) else _copy(error, cls)


def original_class(cls: type[BaseException]) -> type[BaseException]:
    """The user's class behind one that `as_remote` made; any other one is itself."""
    found: type[BaseException] = cls.__dict__.get("__nbray_original__", cls)
    return found


def rebuild(cls: type[BaseException], construction: tuple[Any, ...], args: tuple[Any, ...]) -> BaseException:
    """Make an exception without calling its own `__init__`; the fields of its builtin base are filled in."""
    base: Any = _builtin_base(cls)
    error: BaseException = base.__new__(cls, *construction)
    base.__init__(error, *construction)
    BaseException.__setattr__(error, "args", args)  # the class may forbid it (a frozen dataclass)
    return error


def _builtin_base(cls: type[BaseException]) -> type[BaseException]:
    return next(ancestor for ancestor in cls.__mro__ if not ancestor.__flags__ & _HEAP_TYPE)


def _dual_of(cls: type[Exception]) -> type[Exception]:
    known = _duals.get(cls)
    dual = known() if known is not None else None
    if dual is None:
        name = f"RemoteError({cls.__name__})"
        content = {"__module__": "nbray", "__nbray_original__": cls, "__reduce_ex__": _reduce, "__doc__": cls.__doc__}
        if not hasattr(cls, "cause"):
            content["cause"] = _Cause()
        dual = types.new_class(name, (cls, RemoteError), exec_body=lambda namespace: namespace.update(content))
        _duals[cls] = weakref.ref(dual)
    return dual


def _reduce(error: BaseException, protocol: int) -> Any:
    return as_remote, (original(error),)


class _Cause:
    """Ray's name for the original; an attribute of the same name on the instance goes first."""

    def __get__(self, error: BaseException | None, owner: type) -> Any:
        return self if error is None else original(error)


def _copy(error: BaseException, cls: type[BaseException]) -> BaseException:
    """An instance of `cls` with all fields of the exception, whose class is a base of `cls` or the other way round."""
    base: Any = _builtin_base(type(error))
    copy = rebuild(cls, base.__reduce__(error)[1], error.args)
    for descriptor in _slots(type(error)):
        with contextlib.suppress(AttributeError, TypeError):  # not set, or read-only and so filled by the construction
            value = descriptor.__get__(error)
            if getattr(copy, descriptor.__name__, _ABSENT) is not value:  # an OSError shows a None that was set
                descriptor.__set__(copy, value)
    object.__getattribute__(copy, "__dict__").update(object.__getattribute__(error, "__dict__"))
    for name in _CONNECTIONS:
        BaseException.__setattr__(copy, name, getattr(error, name))
    return copy


def _slots(cls: type[BaseException]) -> Iterator[Any]:
    """The fields that are not in `__dict__`: the slots of the user's classes, and what builtin ones keep in C."""
    for each in cls.__mro__[: cls.__mro__.index(BaseException)]:
        for name, value in vars(each).items():
            if isinstance(value, _FIELDS) and not name.startswith("__"):
                yield value
