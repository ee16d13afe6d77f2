"""Lazy handles: a large value that a remote cell has assigned looks like the value, and is fetched when it is used."""

from __future__ import annotations

import copy
import operator
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, NoReturn

from nbray import serialization, session
from nbray.cluster_info import format_bytes
from nbray.errors import WrongType
from nbray.notebook.previews import CONTAINERS, TEXTS, Preview, facts_of
from nbray.objects import ObjectRef, get
from nbray.pickler import notes_references

__all__ = ["LARGE", "LARGE_PLAIN", "ModuleName", "Preview", "RemoteValue", "facts_of", "limit_of"]

LARGE = 64 * 1024
"""A value whose pickle is larger comes back as a handle."""
LARGE_PLAIN = 1024 * 1024
"""The same for what a handle cannot pass for where C code wants it, and for figures, which share their parts."""

_PROTOCOLS = ("__array_", "__arrow_", "__cuda_array_", "__dataframe_", "__dlpack_", "__geo_interface_", "__sklearn_")
"""Special names that libraries look up on a value in order to use it; they begin like this."""

READ_ONLY = "Large arrays are shared on the cluster, and so read-only: x = x.copy() makes one to be changed."

_NOT_FETCHED = object()


class _Looking(threading.local):
    depth = 0


_looking = _Looking()


@contextmanager
def only_looking() -> Iterator[None]:
    """Within it, this thread sees of handles what is known without fetching them: attributes are those of their type."""
    _looking.depth += 1
    try:
        yield
    finally:
        _looking.depth -= 1


class ModuleName(NamedTuple):
    """A module among the names that a cell brings back: it is imported by name where it arrives."""

    name: str


def limit_of(value: Any) -> int:
    """How many bytes of this value come back as they are, and not as a handle."""
    kind = type(value)
    is_plain = kind in CONTAINERS or kind in TEXTS or str(kind.__module__).startswith("matplotlib.")
    return LARGE_PLAIN if is_plain else LARGE


class RemoteValue:
    """A value that lives on the cluster; shown by its preview, fetched at the first use, copied into no message.

    It passes for its value: `isinstance` says so too where the type is known here. What looks into the type itself, as C code
    does, needs `.get()`, which gives the plain value.

    >>> import nbray  # in a notebook: after a `%%remote` cell that assigned a large `x`
    >>> type(x), x.shape, x.get()  # doctest: +SKIP
    """

    __slots__ = ("_value", "preview", "ref")

    def __init__(self, ref: ObjectRef, preview: Preview) -> None:
        object.__setattr__(self, "ref", ref)
        object.__setattr__(self, "preview", preview)
        object.__setattr__(self, "_value", _NOT_FETCHED)

    ref: ObjectRef
    preview: Preview
    _value: Any

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return RemoteValue if self._is_plain or self.preview.picture else _type_of(self.preview.type_name) or RemoteValue

    @property
    def _is_plain(self) -> bool:
        """A type of Python itself: IPython shows those item by item, which would fetch the value to show it."""
        name = self.preview.type_name
        return "." not in name or name.partition(".")[0] in sys.stdlib_module_names

    # ---------------------------------------------------------------- the value

    def fetch(self) -> Any:
        """The plain value; blocks until it is here. Arrays are read-only views of the store: `.copy()` one to change it."""
        if self._value is _NOT_FETCHED:
            object.__setattr__(self, "_value", get(self.ref))
        return self._value

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """The plain value; with arguments, what the value's own `get` says to them, as that of a dict."""
        return self._used().get(*args, **kwargs) if args or kwargs else self.fetch()

    def _used(self) -> Any:
        """The value for somebody who uses the handle as if it were the value; the first time it says so."""
        if self._value is _NOT_FETCHED:
            from nbray.notebook import fetch_notices

            if _looking.depth:
                raise WrongType("this value is on the cluster, and not fetched only to be looked at")
            began = time.perf_counter()
            self.fetch()
            fetch_notices.tell(self, self.preview.type_name, self.preview.size, time.perf_counter() - began)
        return self._value

    def __nbray_ref__(self) -> ObjectRef:
        """The object that this value keeps alive; see `nbray.memory`."""
        return self.ref

    # ---------------------------------------------------------------- how it is shown

    def __str__(self) -> str:
        return str(self._used()) if self.preview.type_name == "str" else repr(self)

    def __repr__(self) -> str:
        if self._value is _NOT_FETCHED:
            return self._described(self.preview, "on the cluster", "fetched when used")
        if self._is_plain:
            return self._described(Preview.of(self._value, self.preview.size), "fetched from the cluster", "")
        return repr(self._value)

    def _described(self, preview: Preview, where: str, state: str) -> str:
        made = f"from {self.preview.made_by}" if self.preview.made_by else ""
        if state and not self._is_there:
            where, state = "lost with its cluster", "run what made it again"
        facts = ", ".join(part for part in (preview.facts, format_bytes(preview.size), made) if part)
        head = f"\n{preview.head}" if preview.head and not preview.picture else ""
        return f"<{preview.type_name} {where}: {facts}{f'; {state}' if state else ''}>{head}"

    @property
    def _is_there(self) -> bool:
        backend = session.current.backend
        return backend is not None and backend.epoch == self.ref.epoch

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        if self._value is _NOT_FETCHED:
            return self.preview.bundle(repr(self))
        if self._is_plain:
            return {"text/plain": repr(self)}
        from IPython import get_ipython

        shell: Any = get_ipython()
        return {"text/plain": repr(self)} if shell is None else shell.display_formatter.format(self._value, include, exclude)

    def __dir__(self) -> list[str]:
        kind = _type_of(self.preview.type_name)
        columns = self.preview.keys if self.preview.known else ()
        return sorted({"get", "fetch", "preview", "ref", *filter(str.isidentifier, columns), *(dir(kind) if kind else ())})

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.preview.keys)

    # ---------------------------------------------------------------- on its way

    def __reduce__(self) -> tuple[Any, ...]:
        if notes_references() and (self._value is _NOT_FETCHED or (self._is_there and self._is_as_it_was())):
            return _arrive, (self.ref, self.preview)
        return _itself, (self.fetch(),)  # in a file too: a handle there would have lost its value with the cluster

    def _is_as_it_was(self) -> bool:
        """Whether the fetched value is certainly still what the cluster has: it would be pickled as that is."""
        if _is_constant(self._value):
            return True
        now, then = serialization.dumps(self._value), serialization.dumps(get(self.ref))
        if now.stream != then.stream or now.nested != then.nested or len(now.buffers) != len(then.buffers):
            return False
        return all(map(_are_same, now.buffers, then.buffers))

    def __copy__(self) -> Any:
        return RemoteValue(self.ref, self.preview) if self._value is _NOT_FETCHED else copy.copy(self._value)

    def __deepcopy__(self, copied: dict[int, Any]) -> Any:
        return RemoteValue(self.ref, self.preview) if self._value is _NOT_FETCHED else copy.deepcopy(self._value, copied)

    # ---------------------------------------------------------------- how it is used

    def __getattr__(self, name: str) -> Any:
        private = name.startswith(("_repr_", "_ipython_")) or (name.startswith("__") and not name.startswith(_PROTOCOLS))
        if private:  # asked by whoever looks what it can do: that is no use of the value
            raise AttributeError(name)
        if self._value is _NOT_FETCHED:
            if name in self.preview.known:
                return self.preview.known[name]
            if _looking.depth:
                return getattr(_type_of(self.preview.type_name), name)
        return getattr(self._used(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._used(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._used(), name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy

        if self.preview.type_name in ("dict", "set", "frozenset"):
            self._refuse_array()
        return numpy.array(self._used(), dtype=dtype, copy=copy)

    def _refuse_array(self) -> NoReturn:
        kind = self.preview.type_name
        raise WrongType(
            f"this {kind} is a handle of a value on the cluster, and was taken for an array: .get() gives the {kind} itself, as "
            "in pandas.DataFrame(x.get())"
        )

    def __len__(self) -> int:
        known = self.preview.length
        return len(self._used()) if known is None or self._value is not _NOT_FETCHED else known

    def __bool__(self) -> bool:
        known = self.preview.length if self._is_plain and self._value is _NOT_FETCHED else None
        return bool(self._used()) if known is None else known > 0

    def __setitem__(self, key: Any, value: Any) -> None:
        try:
            self._used()[key] = _plain(value)
        except ValueError as error:
            if "read-only" in str(error):
                error.add_note(READ_ONLY)
            raise

    def __iter__(self) -> Iterator[Any]:
        return iter(self._used())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._used()(*args, **kwargs)

    def __contains__(self, item: object) -> bool:
        return item in self._used()

    def __hash__(self) -> int:
        return hash(self._used())

    def __format__(self, spec: str) -> str:
        return format(self._used(), spec) if spec else str(self)


def _arrive(ref: ObjectRef, preview: Preview) -> Any:
    """In a task, which uses it, the handle arrives as its value; in a notebook as a handle."""
    return get(ref) if session.current.in_worker else RemoteValue(ref, preview)


def _itself(value: Any) -> Any:
    return value


def _is_constant(value: Any) -> bool:
    """Whether a fetched value is certainly still as it was: text, bytes, or an array over the store."""
    return isinstance(value, (str, bytes)) or (type(value).__name__ == "ndarray" and not value.flags.writeable)


def _are_same(one: Any, other: Any) -> bool:
    """Whether two buffers have the same bytes; those of two views of the store have the same address."""
    import numpy

    first, second = (numpy.frombuffer(each.raw(), numpy.uint8) for each in (one, other))
    same_place = first.size == second.size and (first.size == 0 or first.ctypes.data == second.ctypes.data)
    return same_place or numpy.array_equal(first, second)


def _type_of(name: str) -> type | None:
    module, _, qualname = name.rpartition(".")
    found = getattr(sys.modules.get(module or "builtins"), qualname, None)
    return found if isinstance(found, type) else None


def _plain(value: Any) -> Any:
    return value._used() if type(value) is RemoteValue else value


def _forward(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: RemoteValue, *others: Any) -> Any:
        return function(self._used(), *map(_plain, others))

    return method


def _forward_reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: RemoteValue, other: Any) -> Any:
        return function(other, self._used())

    return method


_BINARY: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv, "floordiv": operator.floordiv,
    "mod": operator.mod, "divmod": divmod, "pow": pow, "matmul": operator.matmul, "lshift": operator.lshift,
    "rshift": operator.rshift, "and": operator.and_, "or": operator.or_, "xor": operator.xor,
}  # fmt: skip
_OTHERS: dict[str, Callable[..., Any]] = {
    "lt": operator.lt, "le": operator.le, "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge,
    "neg": operator.neg, "pos": operator.pos, "abs": operator.abs, "invert": operator.invert, "index": operator.index,
    "getitem": operator.getitem, "delitem": operator.delitem, "int": int, "float": float, "complex": complex,
    "round": round, "reversed": reversed, "bytes": bytes,
}  # fmt: skip

for _name, _function in (_BINARY | _OTHERS).items():
    setattr(RemoteValue, f"__{_name}__", _forward(_function))
for _name, _function in _BINARY.items():
    setattr(RemoteValue, f"__r{_name}__", _forward_reflected(_function))
