"""What a cell of an earlier kernel was promised, waited for and assigned by this one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbray.backends.backend import Backend
from nbray.dual_errors import original
from nbray.notebook import given_items, homecoming
from nbray.notebook.cell_runs import CellRun
from nbray.notebook.item_cell import LAST
from nbray.notebook.namespace import NamespaceOutcome
from nbray.notebook.promises import Promise
from nbray.notebook.remote_cell import CellOutcome
from nbray.notebook.yields import ITEMS
from nbray.objects import ObjectRef
from nbray.wording import count_text, one_line

SHOWN_FAILURES = 5


class Comeback:
    """One promise; used by the thread that runs cells."""

    def __init__(self, promise: Promise, refs: Sequence[ObjectRef], backend: Backend, run: CellRun) -> None:
        self.promise = promise
        self.refs = refs
        """Empty once it was taken over."""
        self.backend = backend
        self.run = run
        self.failed = False
        """It has raised something."""
        self.assigned: tuple[str, ...] = ()
        """The names that the notebook has got."""
        self.value: list[Any] | None = None
        """What the items' last expressions gave, or what the cell has yielded, which has no name."""

    @property
    def done(self) -> bool:
        """Has it been taken over?"""
        return not self.refs

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it will assign."""
        return tuple(name for name in self.promise.wanted if name not in (LAST, ITEMS))

    def take_over(self, shell: Any) -> str:
        """Wait for what comes, and assign it; raises what a cell's one task raised. Returns a warning, or ""."""
        try:
            return self._take_names(shell) if self.promise.kind == "cell" else self._take_lists(shell)
        except Exception:
            self.failed = True
            raise
        finally:
            self.refs = ()

    def _take_names(self, shell: Any) -> str:
        result = self.backend.get([self.refs[0].id])[0]
        outcome: CellOutcome = result.outcome if isinstance(result, NamespaceOutcome) else result
        self.value = given_items.taken(outcome)
        homecoming.assign(shell, outcome)
        self.assigned = tuple(outcome.values)
        if self.promise.required:
            homecoming.require(outcome, self.names)
        return homecoming.warning(outcome)

    def _take_lists(self, shell: Any) -> str:
        lists: dict[str, list[Any]] = {name: [None] * len(self.refs) for name in self.promise.wanted}
        errors: dict[int, BaseException] = {}
        for index, ref in enumerate(self.refs):
            values: Mapping[str, Any] | None = None
            try:
                result = self.backend.get([ref.id])[0]
                values = result.outcome.values if isinstance(result, NamespaceOutcome) else result
            except Exception as error:  # noqa: BLE001 - what the item raised takes its place in the lists
                errors[index] = error.with_traceback(None)
            copied: dict[int, Any] = {}
            for name, items in lists.items():
                items[index] = errors.get(index) if values is None else homecoming.own(values.get(name), copied)
        self.value = lists.pop(LAST, None)
        shell.push(lists)
        self.assigned = tuple(lists)
        return self._summary(errors) if errors else ""

    def _summary(self, errors: Mapping[int, BaseException]) -> str:
        lines = [f"nbray: {len(errors):,} of {count_text(len(self.refs), 'task')} failed; in the lists stands what they raised."]
        for index in list(errors)[:SHOWN_FAILURES]:
            error = original(errors[index])
            lines.append(f"  [{index}]: {one_line(f'{type(error).__name__}: {error}', 150)}")
        if len(errors) > SHOWN_FAILURES:
            lines.append(f"  and {len(errors) - SHOWN_FAILURES:,} more")
        return "\n".join(lines) + "\n"
