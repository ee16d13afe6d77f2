"""One run of a cell by several ranks at once: waits for all of them, their results by rank, and what failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from nbray import session
from nbray.backends.backend import Backend
from nbray.dual_errors import original
from nbray.errors import TaskCancelledError
from nbray.notebook import homecoming, promises
from nbray.notebook.cell_runs import CellRun
from nbray.notebook.ranks import Rank
from nbray.objects import ObjectRef
from nbray.wording import count_text, one_line

SHOWN_FAILURES = 5


class Member(NamedTuple):
    """One rank that was submitted."""

    rank: Rank
    ref: ObjectRef
    wait: Callable[[], Mapping[str, Any]]
    """What it brings back, by name; raises what it raised."""


class RankRun:
    """What the ranks of a cell have given; used by the thread that runs cells.

    A failed rank's place in the lists has its exception, that of one which has not ended None.
    """

    def __init__(self, backend: Backend, members: Sequence[Member], wanted: Iterable[str], run: CellRun | None) -> None:
        self._backend = backend
        self._members = members
        self._run = run
        self.errors: dict[int, BaseException] = {}
        self.results: dict[str, list[Any]] = {name: [None] * len(members) for name in wanted}
        promise = promises.Promise(
            kind="ranks", ids=[member.ref.id for member in members], wanted=tuple(self.results), required=True
        )  # fmt: skip
        promises.give(backend, session.current_cell_run(), promise)
        if run is not None:
            run.ranks.update((member.ref.id, member.rank) for member in members)

    def finish(self, stopped: Callable[[], object]) -> None:
        """Wait until all have ended. What ranks raise is kept, not raised.

        An interrupt of the waiting goes through, after `stopped` has waited for what they say at their end.
        """
        try:
            self._wait_for_all()
        except KeyboardInterrupt:
            promises.keep(member.ref for member in self._members)
            if not self._backend.lost:
                stopped()
            raise

    def _wait_for_all(self) -> None:
        for index, member in enumerate(self._members):
            try:
                values = member.wait()
            except Exception as error:  # noqa: BLE001 - what the rank raised, an exit or an interrupt of its own included
                self._fail(index, member, error.with_traceback(None))
            else:
                copied: dict[int, Any] = {}
                for name, results in self.results.items():
                    results[index] = homecoming.own(values[name], copied) if name in values else None

    def _fail(self, index: int, member: Member, error: BaseException) -> None:
        self.errors[index] = error
        for results in self.results.values():
            results[index] = error
        raised = original(error)
        if self._run is not None and not isinstance(raised, TaskCancelledError):
            self._run.rank_failures[member.ref.id] = f"{type(raised).__name__}: {raised}"

    @property
    def first_error(self) -> BaseException | None:
        """What the first of the failed ranks raised."""
        return self.errors[min(self.errors)] if self.errors else None

    def summary(self) -> str:
        """Which ranks failed and why, and what became of the others; "" when all is well."""
        if not self.errors:
            return ""
        count, failed = len(self._members), sorted(self.errors)
        others = "" if len(failed) == count else "; the others ran to their end"
        lines = [f"nbray: {len(failed):,} of {count_text(count, 'rank')} failed{others}."]
        lines += [f"  {self._line(index)}" for index in failed[:SHOWN_FAILURES]]
        if len(failed) > SHOWN_FAILURES:
            lines.append(f"  and {len(failed) - SHOWN_FAILURES:,} more")
        if self.results:
            lines.append(f"{', '.join(self.results)}: a list by rank, with an exception where a rank failed.")
        return "\n".join(lines) + "\n"

    def _line(self, index: int) -> str:
        error = original(self.errors[index])
        return f"{self._members[index].rank.label}: {one_line(f'{type(error).__name__}: {error}', 150)}"
