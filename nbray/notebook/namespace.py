"""A persistent namespace: the actor in whose worker the cells of `%%remote --on NAME` run, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from nbray.notebook import run_measures
from nbray.notebook.held_modules import HeldModules, old_code_text
from nbray.notebook.homecoming import at_home
from nbray.notebook.rank_cell import reporting
from nbray.notebook.ranks import Rank
from nbray.notebook.remote_cell import CellCode, CellOutcome, bring
from nbray.notebook.remote_shell import the_shell
from nbray.notebook.shipment import Shipment, with_own
from nbray.notebook.values import facts_of
from nbray.notebook.yields import ITEMS

_ABSENT = object()
_NUMBERS = (bool, int, float, complex)
LONGEST_NUMBER = 30

RESULTS = frozenset({"_", "__", "___", "Out"})
"""Names of earlier last expressions, which each namespace has for itself."""


class RemoteName(NamedTuple):
    """A name that a namespace has of its own, as far as it can be told without fetching it."""

    name: str
    type_name: str
    facts: str
    """Shape, length, type of the elements: "1,000 x 3, float64"; of what was imported where it is from."""
    imported: bool = False
    """An import brings it back: it is no loss."""


class Contents(NamedTuple):
    """What a namespace has."""

    reserved: Mapping[str, Any]
    """What it holds as long as it lives, as the line of `%%remote` gave it."""
    names: tuple[RemoteName, ...]


class NamespaceOutcome(NamedTuple):
    """What a cell in a namespace brings back, and what is there afterwards."""

    outcome: CellOutcome
    contents: Contents


class Namespace:
    """Names that cells assign, and that the next cells find; in the worker, called on its main thread only.

    A name that a cell here has assigned or changed in place is the namespace's own. All others that a cell uses are borrowed
    from the notebook: they come with each cell anew, so that they are never out of date. `_`, `__` and `Out` have the last
    expressions of the cells here.
    """

    def __init__(self, reserved: Mapping[str, Any], name: str = "") -> None:
        self._name = name
        self._modules = HeldModules()
        self._reserved = dict(reserved)
        self._names: dict[str, Any] = {}
        self._own: set[str] = set()
        shell = the_shell()
        shell.begin(self._names, {})
        shell.keeps_results = True

    def run(
        self, code: CellCode, shipment: Shipment, modules: Mapping[str, str], submodules: Sequence[str],
        wanted: tuple[str, ...], changed: Sequence[str], anew: Sequence[str], rank: Rank | None = None,
    ) -> NamespaceOutcome:  # fmt: skip
        """Run a cell and bring the `wanted` names; those `anew` are taken from the notebook even where there are own ones.

        Raises what the cell raised: what it had assigned until then stays.
        """
        run_measures.begin()
        with nullcontext() if rank is None else reporting(rank):
            return self._run(code, shipment, modules, submodules, wanted, changed, anew)

    def _run(
        self, code: CellCode, shipment: Shipment, modules: Mapping[str, str], submodules: Sequence[str],
        wanted: tuple[str, ...], changed: Sequence[str], anew: Sequence[str],
    ) -> NamespaceOutcome:  # fmt: skip
        edited = self._modules.edited()
        if edited:
            sys.stderr.write(old_code_text(edited, self._name))
        for name in submodules:
            import_module(name)
        values, home = shipment.unpack()
        self._own.difference_update(anew)
        used = {name: value for name, value in home.items() if not name.startswith("__")}
        imported = {name: import_module(module) for name, module in modules.items()}
        self._borrow({**used, **imported, **with_own(values, changed)})
        before = dict(self._names)
        shell = the_shell()
        try:
            shell.run(code)
        finally:
            self._note_own(before, changed)
            self._modules.note()
            shell.forget()
        outcome = bring(self._names, wanted)
        self._names.pop(ITEMS, None)
        return NamespaceOutcome(outcome, self.contents())

    def fetch(self, names: tuple[str, ...]) -> CellOutcome:
        """Bring names: small values as they are, large ones as handles; what is not there is left out."""
        return bring(self._names, names)

    def contents(self) -> Contents:
        """What is here; looks at no item of a value, so that it takes no time."""
        own = [(name, value) for name, value in self._names.items() if name in self._own and not name.startswith("_")]
        return Contents(self._reserved, tuple(_described(name, value) for name, value in own))

    def complete(self, token: str, before: str) -> list[str]:
        """What could stand for the token at the end of the text before the cursor: attributes, or keys behind a bracket."""
        completer = the_shell().Completer
        completer.namespace, completer.global_namespace = self._names, {}
        completer.line_buffer = completer.text_until_cursor = before
        keys = completer.dict_key_matches(token)
        return [str(match) for match in (keys or (completer.attr_matches(token) if "." in token else ()))]

    def inspect(self, name: str, detail: int) -> dict[str, Any]:
        """What is shown of a name for Shift-Tab, by kind of data; empty where it is not here."""
        try:
            return dict(the_shell().object_inspect_mime(name, detail))
        except KeyError:
            return {}

    def _borrow(self, values: Mapping[str, Any]) -> None:
        """Functions of the notebook read this namespace: they see what cells here assign."""
        borrowed = [name for name in values if name not in self._own and name not in RESULTS]
        self._names.update((name, values[name]) for name in borrowed)
        self._names.update([(name, at_home(values[name], self._names)) for name in borrowed])

    def _note_own(self, before: Mapping[str, Any], changed: Sequence[str]) -> None:
        names, hidden = self._names, the_shell().user_ns_hidden
        for name, value in names.items():
            if before.get(name, _ABSENT) is not value and hidden.get(name, _ABSENT) is not value:
                self._own.add(name)
        self._own.update(changed)
        self._own.intersection_update(names)


def _described(name: str, value: Any) -> RemoteName:
    kind = type(value).__name__
    if isinstance(value, ModuleType):
        return RemoteName(name, kind, value.__name__, imported=True)
    home = getattr(value, "__module__", None) if isinstance(value, (type, FunctionType, BuiltinFunctionType)) else None
    if isinstance(home, str) and home != "__main__":
        return RemoteName(name, kind, f"from {home}", imported=True)
    return RemoteName(name, kind, _facts(value))


def _facts(value: Any) -> str:
    """A number is its own description."""
    return repr(value)[:LONGEST_NUMBER] if type(value) in _NUMBERS else facts_of(value)
