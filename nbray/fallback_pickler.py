"""The pickler for what C's refuses: pure Python, with dill's types, and it remembers the way to the object at fault.

Of dill's types only those are taken that mean the same on another machine's side of a pipe: not its locks (they would
arrive unlocked), files (reopened elsewhere) and capsules (a pointer of this process).
"""

from __future__ import annotations

import io
import pickle
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import dill._dill

from nbray.pickler import PROTOCOL, Rules

PythonPickler: Any = dill.Pickler

_TAKEN_FROM_DILL: tuple[type, ...] = (
    super,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    weakref.ReferenceType,
    weakref.ProxyType,
    weakref.CallableProxyType,
)


class FallbackPickler(Rules, PythonPickler):  # type: ignore[misc]
    """dill's pickler with nbray's rules; after a failure, `trail` leads from the value to the object at fault."""

    dispatch = {
        **dill._dill.pickle_dispatch_copy,  # pickle's own; importing dill has extended `pickle._Pickler.dispatch`
        **{kind: dill.Pickler.dispatch[kind] for kind in _TAKEN_FROM_DILL if kind in dill.Pickler.dispatch},
    }

    def __init__(
        self, file: io.BytesIO, buffer_callback: Callable[[pickle.PickleBuffer], Any],
        lift: Callable[[Any], Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(file, PROTOCOL, buffer_callback=buffer_callback)
        self.trail: list[Any] = []
        self._lift = lift
        self._by_value = self.by_value  # loads the rules for what the C pickler refused before it knew them

    def persistent_id(self, obj: Any) -> Any:
        return None if self._lift is None else self._lift(obj)

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        # No `finally`: what is left in the trail when an exception passes is the way to its origin.
        self.trail.append(obj)
        super().save(obj, save_persistent_id)
        self.trail.pop()

    def reducer_override(self, obj: Any) -> Any:
        for name in ("stdout", "stderr"):
            if obj is getattr(sys, name):
                return getattr, (sys, name)
        return super().reducer_override(obj)
