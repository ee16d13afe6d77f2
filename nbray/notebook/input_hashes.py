"""Hashes of the names that go along with a cell and come back: as many as a few milliseconds allow, the light ones first.

They are `fingerprints`, so that the same value has the same hash in every kernel. What can be imported counts by its name: its
version stands beside the hashes in the manifest. What is left out says why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import structs

from nbray import session
from nbray.backends.contents import sample_of
from nbray.fingerprints import Untracked, fingerprint
from nbray.ids import Reference
from nbray.notebook.manifest import Piece
from nbray.notebook.values import ModuleName, RemoteValue, facts_of
from nbray.notebook.weights import Weight, weigh

SECONDS = 0.01
"""For all names of a cell together."""
PER_PART, PER_BYTE = 2e-6, 3e-10
"""What a piece and a byte of a value take, on a slow machine."""
DIGITS = 16
SAMPLED = "~"
"""Begins the hash of an array of which some bytes from everywhere were looked at: another one tells that it has changed."""
_QUICK = frozenset({"builtins", "numpy", "pandas", "polars", "pyarrow", "torch"})
MOST = 200
"""Names of a cell that are written down."""


def pieces(
    values: Mapping[str, Any], seconds: float = SECONDS, clock: Callable[[], float] = time.perf_counter
) -> tuple[Piece, ...]:
    """The values by name, with their sizes, and with hashes as long as there is time."""
    names = list(values)[:MOST]
    weights = {name: _weigh(values[name]) for name in names}
    end = clock() + seconds
    found = {
        name: _piece(name, values[name], weights[name], end - clock())
        for name in sorted(names, key=lambda name: _cost(weights[name]))
    }
    return tuple(found[name] for name in names)


def _weigh(value: Any) -> Weight:
    if type(value) is RemoteValue:
        return Weight(value.preview.size, 0)
    return weigh(value)


def _cost(weight: Weight) -> float:
    return float("inf") if weight.parts < 0 else weight.parts * PER_PART + weight.size * PER_BYTE


def _piece(name: str, value: Any, weight: Weight, left: float) -> Piece:
    if type(value) is RemoteValue:
        preview = value.preview
        return Piece(name, preview.type_name.rpartition(".")[2], preview.facts, preview.size, on_cluster=True)
    if isinstance(value, Reference):
        return Piece(name, type(value).__name__, size=_stored_size(value), on_cluster=True)
    if type(value) is ModuleName:
        return Piece(name, "module", value.name)
    found = Piece(name, type(value).__name__, _facts(value), weight.size)
    return _hashed(found, value, weight, left)


def _facts(value: Any) -> str:
    """Of types that answer at once: anything else may run for its length."""
    kind = type(value)
    return facts_of(value) if kind.__module__.partition(".")[0] in _QUICK and not callable(value) else ""


def _stored_size(reference: Reference) -> int:
    """Of an object that is ready, as far as this process knows."""
    backend = session.current.backend
    if backend is None or getattr(reference, "epoch", "") != backend.epoch:
        return 0
    return backend.size(reference.id) or 0


def _hashed(found: Piece, value: Any, weight: Weight, left: float) -> Piece:
    cost = _cost(weight)
    if cost > left and _is_plain_array(value):
        sample = sample_of(memoryview(value).cast("B")).hex()[: DIGITS - 1]
        return structs.replace(found, hash=SAMPLED + sample, unhashed="")
    if cost > left:
        why = "of a type that is not looked into" if weight.parts < 0 else "too much for the time that a cell may lose"
        return structs.replace(found, unhashed=why)
    try:
        digest = fingerprint(value, lambda asked: (), _refuse).digest
    except Untracked as error:
        return structs.replace(found, unhashed=f"it has {error}")
    return structs.replace(found, hash=digest[:DIGITS])


def _is_plain_array(value: Any) -> bool:
    kind = type(value)
    if kind.__module__ != "numpy" or kind.__name__ != "ndarray":
        return False
    return bool(value.flags.c_contiguous and value.dtype.kind in "biufc" and value.size)


def _refuse(reference: Reference) -> str:
    raise Untracked("an ObjectRef, whose value is elsewhere")
