"""What `%nbray attach` does: shows again what cells print whose kernel or page was lost, and brings back what they assign."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

from msgspec import structs

from nbray import introspection
from nbray.backends.backend import Backend
from nbray.errors import UsageError
from nbray.notebook import cell_runs, failures, hooks, namespaces, own_cluster, promises
from nbray.notebook.attached import Attached, FoundCell, number_of, short, state_of
from nbray.notebook.background import Background
from nbray.notebook.cell_runs import CellRun
from nbray.notebook.comebacks import Comeback
from nbray.notebook.display import Display
from nbray.notebook.publisher import Publisher
from nbray.objects import ObjectRef
from nbray.snapshot import LeftCellRun
from nbray.wording import count_text

MOST_SHOWN = 20
"""Cells whose output is shown again at once; the latest ones."""
READY_SECONDS = 0.25
"""So long is waited for what may have ended."""
SHOW_SECONDS = 5.0
LOOK_SECONDS = 0.3

Output = Literal["unseen", "all", "none"]


class Attachment:
    """One `%nbray attach`, on the main thread."""

    def __init__(self, shell: Any, page: Display, background: Callable[[], Background], backend: Backend) -> None:
        self._shell = shell
        self._page = page
        self._background = background
        self._backend = backend
        self._publisher: Publisher | None = hooks.publisher_of(shell)
        self._here = cell_runs.current()

    def run(self, number: int | None, *, of_all: bool) -> Attached:
        """Show the cells that go on and those that were missed, or the one with this number; bring back what they assign."""
        rows = self._backend.left_work(of_all=True)
        job = self._backend.job
        own = [row for row in rows if row.counts.job == job and (self._here is None or row.counts.cell_run != self._here.id)]
        others = [row for row in rows if row.counts.job != job and (row.drivers or row.results or _is_open(row))]
        shown = chosen(own, number)
        notes = []
        if len(shown) > MOST_SHOWN:
            earlier = count_text(len(shown) - MOST_SHOWN, "earlier cell")
            notes.append(f"The output of {earlier} is not shown: %nbray attach 4 shows that of [4].")
            shown = shown[-MOST_SHOWN:]
        found = []
        for row in own:
            if row in shown:
                found.append(self._show(row, "all" if number is not None or not row.missed else "unseen", len(shown) == 1))
            elif row.results:
                found.append(self._bring(row, self._adopted(row), "none"))
        return Attached(
            found, self._namespaces(), self._actors(), [_seen(row) for row in others] if of_all else [],
            0 if of_all else len(others), notes,
        )  # fmt: skip

    # ---------------------------------------------------------------- cells

    def _show(self, row: LeftCellRun, output: Output, alone: bool) -> FoundCell:
        run = self._adopted(row)
        if alone:
            run.own_tasks.update(task_id for promise in _promises(row) if promise.kind == "cell" for task_id in promise.ids)
        if self._publisher is not None:
            self._publisher.show_again(run, head_of(row, output), alone=alone)
        found = self._bring(row, run, output)
        if self._publisher is not None:
            self._publisher.card_again(run, row.counts, SHOW_SECONDS)
        for comeback in found.comebacks:
            self._settle(comeback)
        return found

    def _adopted(self, row: LeftCellRun) -> CellRun:
        """The cell run as it is known here: shown in the cell that runs now."""
        parent = None if self._here is None else self._here.parent
        return CellRun(row.counts.cell_run, number_of(row.counts.label), parent, 0, ended=True)

    def _bring(self, row: LeftCellRun, run: CellRun, output: Output) -> FoundCell:
        ids = self._backend.take_over(row.counts.cell_run, output) or []
        refs = {object_id: ObjectRef(object_id, self._backend.epoch) for object_id in ids}
        row = structs.replace(row, results=ids)
        comebacks = [
            Comeback(promise, [refs.pop(each) for each in promise.ids], self._backend, run)
            for promise in _kept(row)
        ]
        return FoundCell(row.counts, row.ended_ago, row.missed, comebacks, tuple(refs.values()))

    def _settle(self, comeback: Comeback) -> None:
        """Assign what is there; what is not is assigned when it has ended."""
        ids = [ref.id for ref in comeback.refs]
        if len(self._backend.wait(ids, len(ids), READY_SECONDS)) < len(ids):
            self._background().follow(comeback)
            return
        try:
            sys.stderr.write(comeback.take_over(self._shell))
        except Exception as error:  # noqa: BLE001 - the cell's own failure, which shall not hide what came of the others
            parent = None if self._here is None else self._here.parent
            self._page.publish("error", failures.error_content(self._shell, error), parent)

    # ---------------------------------------------------------------- what else lives

    def _namespaces(self) -> list[tuple[str, str]]:
        found = []
        for name in namespaces.names():
            contents = namespaces.existing(name).look(LOOK_SECONDS)
            has = "a cell runs there" if contents is None else ", ".join(each.name for each in contents.names) or "no names yet"
            found.append((name, has))
        return found

    def _actors(self) -> list[tuple[str, str]]:
        return [
            (f"{row['class_name']} {row['name']!r}", f"nbray.get_actor({row['name']!r})")
            for row in introspection.list_actors(state="ALIVE")
            if row["name"] and not row["name"].startswith((namespaces.PREFIX, "tune:"))
        ]


def attach(shell: Any, page: Display, background: Callable[[], Background], word: str, *, of_all: bool) -> Attached | None:
    """Do what `%nbray attach` with this word says."""
    number = _number(word)
    with own_cluster.attaching():
        backend = own_cluster.join(shell, "" if number is not None else word)
    return None if backend is None else Attachment(shell, page, background, backend).run(number, of_all=of_all)


def chosen(own: Sequence[LeftCellRun], number: int | None) -> list[LeftCellRun]:
    """The cell runs whose output is shown: those that go on or were missed, else the latest; or the one with this number."""
    if number is not None:
        found = [row for row in own if number_of(row.counts.label) == number]
        if not found:
            known = ", ".join(dict.fromkeys(f"[{number_of(row.counts.label)}]" for row in own[-MOST_SHOWN:])) or "none"
            raise UsageError(f"%nbray attach {number}: no cell [{number}] has had work on this cluster. Those that have: {known}")
        return found[-1:]
    going_on = [row for row in own if row.missed or _is_open(row) or _kept(row)]
    return going_on or list(own[-1:])


def head_of(row: LeftCellRun, output: Output) -> str:
    """The line above the output of a cell that is shown again."""
    what = "all that its tasks have printed" if output == "all" else "what its tasks have printed since its kernel was lost"
    said = what if row.kept else "its tasks have printed nothing"
    return f"[nbray] {short(row.counts.label or str(row.counts.cell_run))}: {state_of(row.counts, row.ended_ago)}; {said}"


def _promises(row: LeftCellRun) -> list[promises.Promise]:
    return [promise for note in row.notes if (promise := promises.decode(note)) is not None]


def _is_open(row: LeftCellRun) -> bool:
    return bool(row.counts.waiting or row.counts.running)


def _kept(row: LeftCellRun) -> list[promises.Promise]:
    """Those whose results no kernel has taken over."""
    results = set(row.results)
    return [promise for promise in _promises(row) if results.issuperset(promise.ids)]


def _seen(row: LeftCellRun) -> FoundCell:
    return FoundCell(row.counts, row.ended_ago, False, (), ())


def _number(word: str) -> int | None:
    stripped = word.strip("[]")
    return int(stripped) if stripped.isdigit() else None
