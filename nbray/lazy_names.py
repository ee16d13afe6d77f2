"""Names of a package that are imported when they are first used, so that importing the package costs next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]], modules: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A package's `__getattr__` and `__dir__`: `homes` says which module has which names, `modules` which of its own it offers.

    The package lists its names in `__all__` as well, and imports them for type checkers.

    >>> getattr_, dir_ = lazy_names("nbray.util", {"nbray.util.queue": ["Empty", "Full", "Queue"]}, ["actor_pool"])
    >>> getattr_("Full").__name__, getattr_("actor_pool").__name__, "Queue" in dir_()
    ('Full', 'nbray.util.actor_pool', True)
    """
    module_of = {name: module for module, names in homes.items() for name in names}

    def get(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(module_of[name]), name)
        setattr(sys.modules[package], name, value)  # this function is not asked again
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *module_of, *modules})

    return get, names
