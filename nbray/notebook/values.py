"""Lazy handles: a large value that a remote cell has assigned looks like the value, and is fetched when it is used."""

from __future__ import annotations

import html
import operator
import reprlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from nbray import session
from nbray.cluster_info import format_bytes
from nbray.objects import ObjectRef, get

LARGE = 64 * 1024
"""A value whose pickle is larger comes back as a handle."""

HEAD_CHARACTERS = 600
HEAD_LINES = 8
MOST_HTML = 20_000

_PROTOCOLS = ("__array_", "__arrow_", "__cuda_array_", "__dataframe_", "__dlpack_", "__geo_interface_", "__sklearn_")
"""Special names that libraries look up on a value in order to use it; they begin like this."""

_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = _SHORT.maxfrozenset = _SHORT.maxdeque = 5
_SHORT.maxstring = _SHORT.maxother = 100
_CONTAINERS = (list, tuple, dict, set, frozenset)

_NOT_FETCHED = object()


class ModuleName(NamedTuple):
    """A module among the names that a cell brings back: it is imported by name where it arrives."""

    name: str


class Preview(NamedTuple):
    """What can be seen of a value without fetching it; made where the value is."""

    type_name: str
    facts: str
    """Shape, length, type of the elements: "1,000 x 3, float64"."""
    head: str
    html: str
    size: int
    """Bytes of the pickled value."""

    @classmethod
    def of(cls, value: Any, size: int) -> Preview:
        """Look at a value; what its own methods refuse is left out."""
        kind = type(value)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        top = _attempt(lambda: value.head(5), None)
        shown = value if top is None else top
        table = "" if top is None else str(_attempt(lambda: top._repr_html_(), "") or "")
        facts, head = _attempt(lambda: _facts_of(value), ""), _attempt(lambda: _head(shown), "")
        return cls(name, facts, head, table if len(table) <= MOST_HTML else "", size)


def _attempt(look: Callable[[], Any], otherwise: Any) -> Any:
    """A preview is a courtesy: whatever a foreign `repr` raises must not cost the value."""
    try:
        return look()
    except Exception:  # noqa: BLE001
        return otherwise


def facts_of(value: Any) -> str:
    """Shape and type of the elements, or the number of items; "" where there are none, or the value refuses."""
    return _attempt(lambda: _facts_of(value), "") or ""


def _facts_of(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        facts = [" x ".join(f"{size:,}" for size in shape), str(getattr(value, "dtype", ""))]
        return ", ".join(filter(None, facts))
    return f"{len(value):,} items" if hasattr(value, "__len__") else ""


def _head(value: Any) -> str:
    if isinstance(value, (bytes, str, bytearray)):
        return repr(value[:200])
    if isinstance(value, _CONTAINERS):
        return _SHORT.repr(value)  # looks at the first items only, at each depth
    lines = repr(value).splitlines()[:HEAD_LINES]
    return "\n".join(lines)[:HEAD_CHARACTERS]


class RemoteValue:
    """A value that lives on the cluster; shown by its preview, fetched at the first use, copied into no message.

    It passes for its value: `isinstance` says so too where the type is known here. What looks into the type itself, as C code
    does, needs `.fetch()`.

    >>> import nbray  # in a notebook: after a `%%remote` cell that assigned a large `x`
    >>> type(x), x.ref, x.fetch()  # doctest: +SKIP
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
        name = self.preview.type_name
        # Not for the standard library's types: IPython shows those item by item, which would fetch the value to show it.
        own = "." not in name or name.partition(".")[0] in sys.stdlib_module_names
        return RemoteValue if own else _type_of(name) or RemoteValue

    def fetch(self) -> Any:
        """The plain value; blocks until it is here. Arrays are read-only views of the store: `.copy()` one to change it."""
        if self._value is _NOT_FETCHED:
            object.__setattr__(self, "_value", get(self.ref))
        return self._value

    def __str__(self) -> str:
        return str(self.fetch()) if self.preview.type_name == "str" else repr(self)

    def __repr__(self) -> str:
        preview = self.preview
        facts = ", ".join(part for part in (preview.facts, format_bytes(preview.size)) if part)
        head = f"\n{preview.head}" if preview.head else ""
        return f"<{preview.type_name} on the cluster: {facts}; fetched when used>{head}"

    def _repr_html_(self) -> str:
        if not self.preview.html:
            return f"<pre>{html.escape(repr(self))}</pre>"
        first = repr(self).splitlines()[0]
        return f"<div><code>{html.escape(first)}</code>{self.preview.html}</div>"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._value is _NOT_FETCHED or _is_constant(self._value):
            return _arrive, (self.ref, self.preview)
        return _itself, (self._value,)  # it may have been changed since it was fetched

    def __dir__(self) -> list[str]:
        kind = _type_of(self.preview.type_name)
        return sorted({"fetch", "preview", "ref", *(dir(kind) if kind is not None else ())})

    def __getattr__(self, name: str) -> Any:
        private = name.startswith(("_repr_", "_ipython_")) or (name.startswith("__") and not name.startswith(_PROTOCOLS))
        if private:  # asked by whoever looks what it can do: that is no use of the value
            raise AttributeError(name)
        return getattr(self.fetch(), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.fetch(), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.fetch(), name)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy

        return numpy.array(self.fetch(), dtype=dtype, copy=copy)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetch())

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.fetch()(*args, **kwargs)

    def __contains__(self, item: object) -> bool:
        return item in self.fetch()

    def __hash__(self) -> int:
        return hash(self.fetch())

    def __format__(self, spec: str) -> str:
        return format(self.fetch(), spec) if spec else str(self)


def _arrive(ref: ObjectRef, preview: Preview) -> Any:
    """In a task, which uses it, the handle arrives as its value; in a notebook as a handle."""
    return get(ref) if session.current.in_worker else RemoteValue(ref, preview)


def _itself(value: Any) -> Any:
    return value


def _is_constant(value: Any) -> bool:
    """Whether a fetched value is certainly still as it was: text, bytes, or an array over the store."""
    return isinstance(value, (str, bytes)) or getattr(getattr(value, "flags", None), "writeable", True) is False


def _type_of(name: str) -> type | None:
    module, _, qualname = name.rpartition(".")
    found = getattr(sys.modules.get(module or "builtins"), qualname, None)
    return found if isinstance(found, type) else None


def _plain(value: Any) -> Any:
    return value.fetch() if type(value) is RemoteValue else value


def _forward(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: RemoteValue, *others: Any) -> Any:
        return function(self.fetch(), *map(_plain, others))

    return method


def _forward_reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: RemoteValue, other: Any) -> Any:
        return function(other, self.fetch())

    return method


_BINARY: dict[str, Callable[..., Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv, "floordiv": operator.floordiv,
    "mod": operator.mod, "divmod": divmod, "pow": pow, "matmul": operator.matmul, "lshift": operator.lshift,
    "rshift": operator.rshift, "and": operator.and_, "or": operator.or_, "xor": operator.xor,
}  # fmt: skip
_OTHERS: dict[str, Callable[..., Any]] = {
    "lt": operator.lt, "le": operator.le, "eq": operator.eq, "ne": operator.ne, "gt": operator.gt, "ge": operator.ge,
    "neg": operator.neg, "pos": operator.pos, "abs": operator.abs, "invert": operator.invert, "index": operator.index,
    "getitem": operator.getitem, "setitem": operator.setitem, "delitem": operator.delitem,
    "len": len, "bool": bool, "int": int, "float": float, "complex": complex, "round": round, "reversed": reversed,
    "bytes": bytes,
}  # fmt: skip

for _name, _function in (_BINARY | _OTHERS).items():
    setattr(RemoteValue, f"__{_name}__", _forward(_function))
for _name, _function in _BINARY.items():
    setattr(RemoteValue, f"__r{_name}__", _forward_reflected(_function))
