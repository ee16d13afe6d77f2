"""What a cell plainly uses that gives something else each time: clocks, unseeded randomness; as far as its source tells."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

_CLOCKS = frozenset({"time.time", "time.time_ns", "time.perf_counter", "time.monotonic", "datetime.now", "datetime.today",
                     "datetime.utcnow", "date.today", "Timestamp.now", "uuid.uuid1", "uuid.uuid4", "os.urandom"})  # fmt: skip
_SEEDS = frozenset({"seed", "manual_seed", "PRNGKey"})
_DEFINED = (FunctionType, BuiltinFunctionType, MethodType, type)
_GENERATORS = frozenset({"default_rng", "RandomState", "Random", "SeedSequence"})
"""Random from the system's noise unless they are given a seed."""


def doubtful(tree: ast.AST, known: Mapping[str, str]) -> list[str]:
    """Such names as they are written in the cell; `known` says what names of the notebook stand for: "np" for "numpy"."""
    known = {**known, **dict(_imported(tree))}
    found = list(dict.fromkeys(_dotted(tree)))
    calls = [(_name(node.func), bool(node.args or node.keywords)) for node in ast.walk(tree) if isinstance(node, ast.Call)]
    seeded = {_last(name) for name, given in calls if given}
    noisy = [name for name, given in calls if not given and _last(name) in _GENERATORS]
    clocks = [name for name in found if ".".join(_full(name, known).split(".")[-2:]) in _CLOCKS]
    random = [] if seeded & (_SEEDS | _GENERATORS) else [name for name in found if _is_random(_full(name, known))]
    return list(dict.fromkeys([*clocks, *random, *noisy]))


def meanings(values: Mapping[str, Any], modules: Mapping[str, str]) -> dict[str, str]:
    """What names of the notebook stand for, as far as that is a module or a function of one."""
    return {**{name: full for name, value in values.items() if (full := _origin(value))}, **modules}


def _origin(value: Any) -> str:
    """Where a function or class was defined: "time.time"; "" for everything else, of which no attribute is looked up."""
    if not issubclass(type(value), _DEFINED):  # not isinstance, which asks a handle for its class, and that fetches it
        return ""
    module = getattr(value, "__module__", None) or type(getattr(value, "__self__", None)).__module__
    return f"{module}.{value.__name__}"


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((each.asname, each.name) for each in node.names if each.asname)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((each.asname or each.name, f"{node.module}.{each.name}") for each in node.names)


def _full(name: str, known: Mapping[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return f"{known.get(first, first)}{dot}{rest}"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _is_random(full: str) -> bool:
    first = full.split(".")[0]
    return first in ("random", "secrets") or (".random." in full and first != "jax")


def _dotted(tree: ast.AST) -> Iterator[str]:
    """Names with their attributes, the longest of each: "np.random.rand"."""
    for node in ast.iter_child_nodes(tree):
        name = _name(node)
        if name:
            yield name
        else:
            yield from _dotted(node)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = _name(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""
