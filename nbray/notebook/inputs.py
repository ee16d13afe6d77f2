"""What a `%%remote` cell takes along from the notebook: values as copies, modules by name."""

from __future__ import annotations

import difflib
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from nbray.errors import UsageError
from nbray.importability import is_importable_module

_ATTRIBUTE = re.compile(r"\.\s*([^\W\d]\w*)")


class Inputs(NamedTuple):
    """What a cell takes along; a name that is found nowhere is left to Python, which raises NameError when it is read."""

    values: dict[str, Any]
    modules: dict[str, str]
    """Names in the cell, and the modules that they stand for on the worker."""
    submodules: tuple[str, ...]
    """Modules that the cell reaches through others, as `xml.dom.minidom` through `xml`."""


def gather(
    needed: Iterable[str], namespace: Mapping[str, Any], source: str, *, only: Iterable[str] | None = None,
    is_own: Callable[[str], bool] = lambda name: False,
) -> Inputs:  # fmt: skip
    """Look up what a cell needs in the notebook; `only` are the names that the user asked for instead.

    `is_own` says which names belong to IPython itself: the worker has its own. Raises UsageError where one of `only` is
    missing.
    """
    found = {name: namespace[name] for name in needed if name in namespace and not is_own(name)}
    if only is not None:
        asked = list(dict.fromkeys(only))
        require(asked, namespace, "-i", "the notebook has no such name")
        found = {name: value for name, value in found.items() if _travels_by_name(value)}
        found |= {name: namespace[name] for name in asked}
    modules = {name: value.__name__ for name, value in found.items() if _travels_by_name(value)}
    values = {name: value for name, value in found.items() if name not in modules}
    return Inputs(values, modules, _submodules(modules.values(), source))


def require(names: Iterable[str], known: Iterable[str], option: str, complaint: str) -> None:
    """Refuse names that are not known, and name the nearest that are."""
    public = [name for name in known if not name.startswith("_")]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, public, 3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise UsageError(f"{option} {name}: {complaint}.{hint}")


def _travels_by_name(value: Any) -> bool:
    return isinstance(value, types.ModuleType) and is_importable_module(value.__name__)


def _submodules(modules: Iterable[str], source: str) -> tuple[str, ...]:
    """Modules that are imported here already and whose whole path the cell may spell."""
    words = set(_ATTRIBUTE.findall(source))
    packages = {f"{name}." for name in modules if hasattr(sys.modules.get(name), "__path__")}
    return tuple(
        sorted(
            name
            for name in list(sys.modules)
            for package in packages
            if name.startswith(package) and words.issuperset(name[len(package) :].split("."))
        )
    )
