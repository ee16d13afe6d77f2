"""The notebook's side of persistent namespaces: which there are, what is known of them, how cells are sent there."""

from __future__ import annotations

import difflib
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from nbray import introspection, session
from nbray.actor_handles import ActorHandle
from nbray.actors import ActorClass, get_actor, kill
from nbray.errors import ActorDied, GetTimeoutError, NbrayError, UsageError
from nbray.ids import BACKGROUND
from nbray.notebook import cell_runs, promises
from nbray.notebook.cell_history import HISTORY
from nbray.notebook.cells import RemoteCell, RunningCell, cluster_for_cells, shipment_of
from nbray.notebook.namespace import Contents, Namespace, NamespaceOutcome, RemoteName
from nbray.notebook.ranks import Rank
from nbray.notebook.remote_cell import CellOutcome
from nbray.objects import cancel, get
from nbray.tables import Rows

PREFIX = "remote:"
"""Of the names of the actors that keep namespaces."""
_NAME = re.compile(r"\w[\w.-]*")
_LIVING = ("PENDING", "ALIVE", "RESTARTING")
SILENT_SECONDS = 1.0
"""After so long it is said what a cell waits for."""
_ADVICE = " To have such an actor started again"
"""Begins what ActorDied says to those who wrote a class; a namespace that starts again is empty, and would not say so."""
_ACTOR = re.compile(r"The actor \w+ '[^']*' is dead: ")
"""What ActorDied calls a namespace, before the reason."""
NAMES_TOLD = 20
"""So many of the lost names are listed."""


class OpenNamespace:
    """A namespace that this process has used; used on the main thread, as cells are."""

    def __init__(self, name: str, actor: ActorHandle, epoch: str, contents: Contents | None) -> None:
        """`contents` are None where they are not known."""
        self.name = name
        self.epoch = epoch
        """Names the cluster that it lives in."""
        self._actor = actor
        self._contents = contents
        self._last_known = contents

    # ---------------------------------------------------------------- what is there

    def contents(self) -> Contents:
        """What is there; asks for it where a cell has failed in between, which waits for the cells that run there."""
        if self._contents is None:
            began = time.perf_counter()
            with session.submitting_for(BACKGROUND):
                self._note(self._guarded(lambda: self._patiently(self._actor.contents.remote())))
            run = cell_runs.current()
            if run is not None:
                run.waited += time.perf_counter() - began
        assert self._contents is not None
        return self._contents

    def look(self, patience: float) -> Contents | None:
        """What is there; None where a cell that runs there leaves no time to tell."""
        if self._contents is None and (found := self._soon(lambda: self._actor.contents.remote(), patience)) is not None:
            self._note(found)
        return self._contents

    def known(self) -> frozenset[str]:
        """The names of its own, as they were when they were seen last; does not wait."""
        return frozenset(each.name for each in (self._last_known.names if self._last_known else ()))

    def at_stake(self) -> frozenset[str]:
        """Those of them that its end would cost: not what was imported."""
        return frozenset(each.name for each in (self._last_known.names if self._last_known else ()) if not each.imported)

    def _note(self, contents: Contents) -> None:
        self._contents = self._last_known = contents

    # ---------------------------------------------------------------- cells

    def submit(self, cell: RemoteCell, task_name: str, anew: Iterable[str] = (), rank: Rank | None = None) -> RunningCell:
        """Send a cell there as a task of the cell run that goes on now, behind those that run there. Raises NotShippable.

        Names `anew` come from the notebook even where the namespace has its own.
        """
        run = cell_runs.current()
        sending = HISTORY.send(run, f"remote --on {self.name}" if rank is None else "remote --each")
        values, modules, submodules = cell.inputs
        run_there = self._actor.run.options(name=task_name)
        changed = cell.names.changed
        shipment = shipment_of(cell)
        ref = run_there.remote(cell.code, shipment, modules, submodules, cell.wanted, changed, tuple(anew), rank)
        sending.sent(ref.id, session.current_backend(), values, shipment.size)
        if rank is None:
            promise = promises.Promise(
                kind="cell", ids=[ref.id], wanted=cell.wanted, required=cell.required, namespace=self.name
            )  # fmt: skip
            promises.give(session.current_backend(), session.current_cell_run(), promise)
        if run is not None and rank is None:
            run.own_tasks.add(ref.id)
        self._contents = None  # until it has ended well
        return RunningCell(cell, ref, session.current_backend(), run, self._receiver(cell))

    def _receiver(self, cell: RemoteCell) -> Callable[[Callable[[], Any]], CellOutcome]:
        def receive(wait: Callable[[], Any]) -> CellOutcome:
            result = self._guarded(wait)
            assert isinstance(result, NamespaceOutcome)
            self._note(result.contents)
            if cell.required:
                self._require(cell.wanted, result.outcome, "-o")
            return result.outcome

        return receive

    def fetch(self, names: tuple[str, ...]) -> CellOutcome:
        """Bring names from there. Raises UsageError for those that are not there; waits for the cells that run there."""
        fetch = self._actor.fetch.options(name=f"%remote fetch on {self.name}")
        outcome: CellOutcome = self.ask(fetch.remote(names))
        self._require(names, outcome, "%remote fetch")
        return outcome

    def _patiently(self, ref: Any) -> Any:
        """The value of a call; says what holds it up where it is late: code that Stop cannot end, or a cell with --bg."""
        try:
            return get(ref, timeout=SILENT_SECONDS)
        except GetTimeoutError:
            began = self._last_known is not None
            sys.stderr.write(
                f"nbray: waiting for an earlier cell in the namespace {self.name!r}. If Stop does not end it, "
                f"%remote drop {self.name} does, with all its names. {lost_text(self.at_stake(), 'It has')}\n"
                if began else f"nbray: waiting for the worker of the namespace {self.name!r}\n"
            )  # fmt: skip
            return get(ref)

    # ---------------------------------------------------------------- for those who type

    def complete(self, token: str, before: str, patience: float) -> list[str]:
        """Completions from there; empty where it has no time."""
        return self._soon(lambda: self._actor.complete.remote(token, before), patience) or []

    def inspect(self, name: str, detail: int, patience: float) -> dict[str, Any]:
        """What is to be shown of a name; empty where it has no time."""
        return self._soon(lambda: self._actor.inspect.remote(name, detail), patience) or {}

    def _soon(self, ask: Callable[[], Any], patience: float) -> Any:
        """The answer to a question that is worth no longer wait, nor an error; else None."""
        if not session.is_initialized() or session.current_backend().epoch != self.epoch:
            return None
        with session.submitting_for(BACKGROUND):
            ref = ask()
            try:
                return get(ref, timeout=patience)
            except GetTimeoutError:
                cancel(ref)
                return None
            except NbrayError:  # whoever runs a cell there next is told
                return None

    def _require(self, names: Iterable[str], outcome: CellOutcome, where: str) -> None:
        for name in names:
            if name not in outcome.values and name not in outcome.left_out:
                self._refuse_name(name, where)

    def _refuse_name(self, name: str, where: str) -> NoReturn:
        known = [each.name for each in self.contents().names]
        near = difflib.get_close_matches(name, known, 1)
        hint = f"Did you mean {near[0]}?" if near else f"It has {', '.join(known) or 'none yet'}."
        raise UsageError(f"{where} {name}: the namespace {self.name!r} has no such name. {hint}")

    # ---------------------------------------------------------------- its end

    def ask(self, ref: Any) -> Any:
        """The value of a call. Raises ActorDied, which says what was lost, where the namespace has died."""
        return self._guarded(lambda: get(ref))

    def _guarded(self, wait: Callable[[], Any]) -> Any:
        try:
            return wait()
        except ActorDied as error:
            forget(self)
            reason = _ACTOR.sub("", str(error).partition(_ADVICE)[0])
            raise ActorDied(
                f"the namespace {self.name!r} has died: {reason}\n{lost_text(self.at_stake())} The next %%remote --on "
                f"{self.name} begins with an empty one."
            ) from error.__cause__

    def end(self) -> None:
        """End it, with all its names; a cell that runs there fails."""
        forget(self)
        kill(self._actor)


_open: dict[str, OpenNamespace] = {}
"""By name."""


def open_namespace(name: str, reserved: Mapping[str, Any]) -> OpenNamespace:
    """The namespace of that name, made where there is none; it then holds what is `reserved` (options of an actor).

    Raises UsageError for what is no name, and where it exists with something else reserved than is asked for.
    """
    check_name(name)
    backend = cluster_for_cells()
    found = _open.get(name)
    if found is not None and found.epoch != backend.epoch:
        forget(found)
        if found.at_stake():
            sys.stderr.write(f"nbray: the namespace {name!r} has ended with its cluster. {lost_text(found.at_stake())}\n")
        found = None
    if found is None:
        with session.submitting_for(BACKGROUND):
            options = {"name": PREFIX + name, "lifetime": "detached", "get_if_exists": True, **reserved}
            actor = ActorClass(Namespace, options).remote(dict(reserved), name)
        found = _open[name] = OpenNamespace(name, actor, backend.epoch, None)
    if reserved:
        _check_reserved(found, reserved)
    return found


def existing(name: str) -> OpenNamespace:
    """The namespace of that name. Raises UsageError where there is none."""
    check_name(name)
    living = names()
    if name not in living:
        near = difflib.get_close_matches(name, living, 1)
        known = f"there are {', '.join(living)}." if living else "there is none."
        hint = f"did you mean {near[0]!r}?" if near else known
        raise UsageError(f"there is no namespace {name!r}: {hint} A cell with %%remote --on {name} makes it")
    found = _open.get(name)
    if found is None or found.epoch != session.current_backend().epoch:
        found = _open[name] = OpenNamespace(name, get_actor(PREFIX + name), session.current_backend().epoch, None)
    return found


def names() -> list[str]:
    """The namespaces that live in this cluster."""
    if not session.is_initialized():
        return []
    rows = introspection.list_actors()
    found = {str(row["name"]) for row in rows if row["state"] in _LIVING}
    return sorted(name.removeprefix(PREFIX) for name in found if name.startswith(PREFIX))


def opened(name: str) -> OpenNamespace | None:
    """The namespace of that name where this process has used it; does not wait."""
    return _open.get(name)


def known_names(name: str) -> frozenset[str]:
    """The names that the namespace is known to have, without asking it."""
    found = _open.get(name)
    return frozenset() if found is None else found.known()


def forget(namespace: OpenNamespace) -> None:
    """It has ended."""
    if _open.get(namespace.name) is namespace:
        del _open[namespace.name]


def check_name(name: str) -> None:
    """Raise UsageError for what cannot be the name of a namespace."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of a namespace: expected letters, digits, and . _ - between them, as gpu0")


def lost_text(lost: Iterable[str], said: str = "Lost:") -> str:
    """What the end of a namespace has cost, or would.

    >>> lost_text({"model", "df"})
    'Lost: df, model.'
    """
    told = names_text(lost)
    return f"{said} {told}." if told else "It had no names yet."


def names_text(found: Iterable[str]) -> str:
    """Some names, and how many more there are; "" for none."""
    known = sorted(found)
    more = f" and {len(known) - NAMES_TOLD} more" if len(known) > NAMES_TOLD else ""
    return f"{', '.join(known[:NAMES_TOLD])}{more}" if known else ""


def listing(found: Iterable[OpenNamespace]) -> Rows:
    """What is in namespaces, as a table; waits for the cells that run there."""
    rows = [(where.name, *each[:3]) for where in found for each in sorted(where.contents().names)]
    return Rows(["namespace", *RemoteName._fields[:3]], rows)


def _check_reserved(found: OpenNamespace, asked: Mapping[str, Any]) -> None:
    held = found.contents().reserved
    for option, value in asked.items():
        if held.get(option) != value:
            has = f"holds {option}={held[option]!r}" if option in held else f"was made without {option}"
            raise UsageError(
                f"the namespace {found.name!r} {has}, not {option}={value!r}: leave that out, or end the namespace and all its "
                f"names by %remote drop {found.name}"
            )
