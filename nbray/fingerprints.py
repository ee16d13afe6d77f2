"""Fingerprints of functions and values: equal ones mean that a task which gets them sees the same.

Pure. Made by walking code and values, never of pickle bytes, which differ between kernels: a function counts with its code
(without the lines on which it stands), defaults, closure and the globals that it names; a value with what its pickle would
carry, piece by piece, with the sharing of its parts. A worker gets no more than that, so nothing else can make a difference.
What an importable name stands for is asked from `about_module`. What cannot be told raises Untracked.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import pickle
import struct
import sys
import types
import typing
import weakref
from _abc import _get_dump  # type: ignore[import-not-found]
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import xxhash

from nbray.by_value import used_globals
from nbray.errors import NbrayError
from nbray.ids import Reference
from nbray.importability import is_importable, is_importable_module

MOST_PARTS = 5_000_000
"""Values with more parts than that are not worth the time: they raise Untracked."""

_LEFT_OUT = frozenset(
    {"__dict__", "__weakref__", "_abc_impl", "__abstractmethods__", "__firstlineno__", "__static_attributes__"}
)
"""What a class has of its own accord, or what follows from the rest of it."""

_STATEFUL = ("nbray.actor_handles", "nbray.streams")
"""Whose objects stand for something that changes."""

_imports_of_code: weakref.WeakKeyDictionary[types.CodeType, tuple[Import, ...]] = weakref.WeakKeyDictionary()


class Untracked(NbrayError):
    """It cannot be told whether two of these are the same; the message says what it is."""


class Import(NamedTuple):
    """One import statement: `from name import members`, or `import name`."""

    name: str
    level: int
    members: tuple[str, ...]


class Fingerprint(NamedTuple):
    """What was found."""

    digest: str
    names: tuple[str, ...]
    """Globals and closed-over variables that count, by name."""
    modules: tuple[str, ...]
    """What stands behind the importable names, as `about_module` says it."""


AboutModule = Callable[[Import], Iterable[str]]
"""Facts about the code that an import gives, such as a version or a hash of its sources; raises Untracked."""
AboutReference = Callable[[Reference], str]
"""What the value of an ObjectRef is known by; raises Untracked."""


def fingerprint(value: Any, about_module: AboutModule, about_reference: AboutReference) -> Fingerprint:
    """The fingerprint of a value or function, the same in every process of this version of Python. Raises Untracked.

    Takes about a microsecond for each part, and 0.1 s for a gigabyte of arrays.
    """
    walk = _Walk(about_module, about_reference)
    try:
        walk.visit(value)
    except RecursionError:
        raise Untracked(f"a {type(value).__name__} that is nested too deeply") from None
    facts = tuple(sorted(walk.facts))
    walk.put(b"!", repr((sys.version_info[:], sys.implementation.name, facts)).encode())
    return Fingerprint(walk.hash.hexdigest(), tuple(sorted(walk.names)), facts)


class _Walk:
    """One walk; `_seen` numbers whatever can be told apart from an equal copy of itself."""

    def __init__(self, about_module: AboutModule, about_reference: AboutReference) -> None:
        self._about_module = about_module
        self._about_reference = about_reference
        self._seen: dict[int, int] = {}
        self._namespaces: dict[int, int] = {}
        self._kept_alive: list[Any] = []
        self._parts = 0
        self.hash = xxhash.xxh3_128()
        self.names: set[str] = set()
        self.facts: set[str] = set()

    # ---------------------------------------------------------------- the pieces

    def put(self, tag: bytes, data: Any = b"") -> None:
        """Add one piece; its kind and length go first, so that no two rows of pieces look alike."""
        self.hash.update(tag + len(data).to_bytes(8, "little"))
        self.hash.update(data)

    def text(self, *texts: str) -> None:
        for each in texts:
            self.put(b"s", each.encode("utf-8", "surrogatepass"))

    def visit(self, value: Any) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise Untracked(f"a value of more than {MOST_PARTS:,} parts")
        kind = type(value)
        plain = _PLAIN.get(kind)
        if plain is not None:
            plain(self, value)
        elif not self._was_seen(value, kind):
            rule = _RULES.get(kind)
            if rule is not None:
                rule(self, value)
            elif issubclass(kind, type):
                self.visit_class(value)
            elif issubclass(kind, Reference):
                self.put(b"o", self._about_reference(value).encode())
            else:
                self.visit_reduced(value, kind)

    def _was_seen(self, value: Any, kind: type) -> bool:
        if (kind is types.FunctionType or issubclass(kind, type)) and is_importable(value):
            self.importable(value.__module__, value.__qualname__)
            return True
        number = self._seen.get(id(value))
        if number is None:
            self._seen[id(value)] = len(self._seen)
            self._kept_alive.append(value)
            return False
        self.put(b"@", number.to_bytes(8, "little"))
        return True

    def visit_all(self, tag: bytes, values: Iterable[Any]) -> None:
        values = list(values)
        self.put(tag, len(values).to_bytes(8, "little"))
        for value in values:
            self.visit(value)

    def visit_pairs(self, tag: bytes, pairs: Iterable[tuple[Any, Any]]) -> None:
        self.visit_all(tag, [part for pair in pairs for part in pair])

    def visit_set(self, tag: bytes, values: Iterable[Any]) -> None:
        """In no order, unless they are numbers, whose order is the same in every process and can be seen by a loop.

        An element that is not known by its value alone could not be told from another.
        """
        values, digests = list(values), []
        for value in values:
            inner = _Walk(self._about_module, self._about_reference)
            inner.visit(value)
            if inner._seen:
                raise Untracked(f"a set that holds a {type(value).__name__}")
            self.facts |= inner.facts
            digests.append(inner.hash.digest())
        in_order = all(type(value) in (int, float, bool) for value in values)
        self.put(tag, b"".join(digests if in_order else sorted(digests)))

    # ---------------------------------------------------------------- code

    def importable(self, module: str, qualname: str) -> None:
        self.text("name", module, qualname)
        self.facts.update(self._about_module(Import(module, 0, ())))

    def visit_module(self, module: types.ModuleType) -> None:
        if not is_importable_module(module.__name__):
            raise Untracked(f"the module {module.__name__}, which was made here")
        self.importable(module.__name__, "")

    def visit_function(self, function: types.FunctionType) -> None:
        self.text("function", function.__name__, function.__qualname__, str(function.__module__))
        self.visit(function.__code__)
        for part in (function.__defaults__, function.__kwdefaults__, function.__annotations__, function.__dict__):
            self.visit(part)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            self.names.add(name)
            self.visit(cell)
        number = self._namespaces.setdefault(id(function.__globals__), len(self._namespaces))
        self.put(b"g", number.to_bytes(8, "little"))
        used = used_globals(function)
        for name in sorted(used):
            if name != "__builtins__":
                self.names.add(name)
                self.text(name)
                self.visit(used[name])

    def visit_code(self, code: types.CodeType) -> None:
        numbers = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
        self.text("code", code.co_name, code.co_qualname, repr(numbers), repr(names))
        self.put(b"c", code.co_code)
        self.put(b"e", code.co_exceptiontable)
        self.visit_all(b"k", code.co_consts)
        for each in imports_of(code):
            self.facts.update(self._about_module(each))

    def visit_cell(self, cell: types.CellType) -> None:
        try:
            contents = [cell.cell_contents]
        except ValueError:  # a variable that is not assigned yet
            contents = []
        self.visit_all(b"x", contents)

    def visit_class(self, cls: type) -> None:
        if not hasattr(cls, "__module__") or not cls.__flags__ & 1 << 9:  # written in C, and not found under its name
            raise Untracked(f"the class {cls.__name__}, which cannot be imported")
        if "_abc_impl" in cls.__dict__ and _registered(cls):
            raise Untracked(f"the class {cls.__name__}, for which others are registered")
        self.text("class", cls.__name__, cls.__qualname__, str(cls.__module__))
        self.visit(type(cls))
        self.visit_all(b"b", cls.__bases__)
        own = {name: value for name, value in cls.__dict__.items() if name not in _LEFT_OUT}
        self.visit_pairs(b"d", own.items())

    # ---------------------------------------------------------------- everything else

    def visit_reduced(self, value: Any, kind: type) -> None:
        """By what its pickle would carry."""
        if kind.__module__ in _STATEFUL:
            raise Untracked(f"{value!r}, whose state is not tracked")
        if kind.__module__ == "numpy" and kind.__name__ == "ndarray" and not value.flags.forc:
            value = value.copy()  # as it travels
            self._kept_alive.append(value)
        reducer = copyreg.dispatch_table.get(kind)
        try:
            reduced = value.__reduce_ex__(5) if reducer is None else reducer(value)
        except Exception as error:
            raise Untracked(f"a {kind.__module__}.{kind.__qualname__} ({type(error).__name__}: {error})") from error
        self._kept_alive.append(reduced)
        if isinstance(reduced, str):
            self.importable(pickle.whichmodule(value, reduced), reduced)  # type: ignore[attr-defined]
            return
        function, arguments, state, items, pairs, setter = (*reduced, None, None, None, None)[:6]
        self.put(b"r")
        for part in (function, arguments, state, setter):
            self.visit(part)
        self.visit_all(b"i", () if items is None else items)
        self.visit_pairs(b"p", () if pairs is None else pairs)

    def visit_buffer(self, buffer: pickle.PickleBuffer) -> None:
        try:
            self.put(b"B", buffer.raw())
        except BufferError as error:
            raise Untracked(f"memory in pieces ({error})") from error


def imports_of(code: types.CodeType) -> tuple[Import, ...]:
    """The import statements in a function's code; those of functions nested in it are found with these."""
    found = _imports_of_code.get(code)
    if found is None:
        steps = [step for step in dis.get_instructions(code) if step.opname != "EXTENDED_ARG"]
        found = _imports_of_code[code] = tuple(
            Import(step.argval, steps[index - 2].argval or 0, tuple(steps[index - 1].argval or ()))
            for index, step in enumerate(steps)
            if step.opname == "IMPORT_NAME"
        )
    return found


def _registered(cls: type) -> bool:
    return bool(_get_dump(cls)[0])


def _visit_method(walk: _Walk, method: types.MethodType) -> None:
    if getattr(method, "__name__", "") == "get_ipython":
        walk.text("get_ipython")  # a worker has its own
    else:
        walk.visit_all(b"m", (method.__func__, method.__self__))


def _visit_cached(walk: _Walk, cached: Any) -> None:
    if is_importable(cached):
        walk.importable(cached.__module__, cached.__qualname__)
    else:
        walk.visit_all(b"u", (cached.__wrapped__, cached.cache_parameters()))


def _visit_descriptor(walk: _Walk, descriptor: Any) -> None:
    owner = descriptor.__objclass__
    walk.text("descriptor", descriptor.__name__)
    walk.visit(owner)


def _visit_new_type(walk: _Walk, new_type: Any) -> None:
    walk.visit_all(b"w", (new_type.__name__, new_type.__supertype__))


def _visit_type_variable(walk: _Walk, variable: typing.TypeVar) -> None:
    variance = (variable.__covariant__, variable.__contravariant__)
    walk.visit_all(b"v", (variable.__name__, variable.__bound__, variable.__constraints__, variance))


def _visit_float(walk: _Walk, value: float) -> None:
    walk.put(b"f", struct.pack("<d", value))


def _visit_int(walk: _Walk, value: int) -> None:
    walk.put(b"n", value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True))


Rule = Callable[[_Walk, Any], None]

_PLAIN: dict[type, Rule] = {
    type(None): lambda walk, value: walk.put(b"0"),
    bool: lambda walk, value: walk.put(b"1" if value else b"2"),
    type(...): lambda walk, value: walk.put(b"3"),
    type(NotImplemented): lambda walk, value: walk.put(b"4"),
    int: _visit_int,
    float: _visit_float,
    complex: lambda walk, value: walk.put(b"j", struct.pack("<dd", value.real, value.imag)),
    str: lambda walk, value: walk.text(value),
    bytes: lambda walk, value: walk.put(b"y", value),
    tuple: lambda walk, value: walk.visit_all(b"(", value),
    frozenset: lambda walk, value: walk.visit_set(b"{", value),
    range: lambda walk, value: walk.visit_all(b"-", (value.start, value.stop, value.step)),
    slice: lambda walk, value: walk.visit_all(b":", (value.start, value.stop, value.step)),
    types.CodeType: _Walk.visit_code,
    types.ModuleType: _Walk.visit_module,
}
"""Known by their value alone."""

_RULES: dict[type, Rule] = {
    list: lambda walk, value: walk.visit_all(b"[", value),
    dict: lambda walk, value: walk.visit_pairs(b"d", value.items()),
    set: lambda walk, value: walk.visit_set(b"t", value),
    bytearray: lambda walk, value: walk.put(b"a", value),
    pickle.PickleBuffer: _Walk.visit_buffer,
    types.FunctionType: _Walk.visit_function,
    types.CellType: _Walk.visit_cell,
    types.MethodType: _visit_method,
    types.MappingProxyType: lambda walk, value: walk.visit_pairs(b"q", value.items()),
    types.MemberDescriptorType: _visit_descriptor,
    types.GetSetDescriptorType: _visit_descriptor,
    staticmethod: lambda walk, value: walk.visit_all(b"S", (value.__func__,)),
    classmethod: lambda walk, value: walk.visit_all(b"K", (value.__func__,)),
    property: lambda walk, value: walk.visit_all(b"P", (value.fget, value.fset, value.fdel, value.__doc__)),
    functools.cached_property: lambda walk, value: walk.visit_all(b"C", (value.func, value.attrname)),
    functools._lru_cache_wrapper: _visit_cached,
    typing.NewType: _visit_new_type,
    typing.TypeVar: _visit_type_variable,
}
