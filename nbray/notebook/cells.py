"""The driver's side of a `%%remote` cell: reads its source, ships it as one task, brings its names back."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from nbray import serialization, session
from nbray.backends import registry
from nbray.backends.backend import Backend, CallOptions
from nbray.errors import NotShippable, NotSupportedHere
from nbray.ids import CellRunId
from nbray.notebook import cell_runs, homecoming
from nbray.notebook.inputs import Inputs, gather, require
from nbray.notebook.names import Names, find_names
from nbray.notebook.remote_cell import CellCode, CellOutcome
from nbray.notebook.shipment import Shipment, run_shipped
from nbray.objects import ObjectRef

MODULE_SCOPE = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
MAGIC_LINE = "# %%remote {line}\n"
"""Stands where the magic's line was, so that line numbers in tracebacks are those of the cell on the page."""


class CellOptions(NamedTuple):
    """What the line of `%%remote` says, but for what the engine has to know."""

    inputs: Sequence[str] | None = None
    """The names to take along instead of those that are found."""
    outputs: Sequence[str] | None = None
    """The names to bring back instead of all that the cell assigns."""


class RemoteCell(NamedTuple):
    """A cell that is ready to be shipped."""

    code: CellCode
    names: Names
    inputs: Inputs
    namespace: dict[str, Any]
    """The notebook's own, which is the globals of its functions."""
    wanted: tuple[str, ...]
    required: bool
    """The user has named what is to come back, so it must."""


def read_cell(shell: Any, line: str, cell: str, options: CellOptions) -> RemoteCell:
    """Find out what a cell needs and assigns; raises SyntaxError, and UsageError for names that cannot be.

    `line` is what stands behind `%%remote`.
    """
    source = cell if cell.lstrip().startswith("%%") else MAGIC_LINE.format(line=line) + cell
    transformed = shell.transform_cell(source)
    run = cell_runs.current()
    number = shell.execution_count if run is None else run.number
    filename = shell.compile.cache(transformed, number, raw_code=source)
    compile(transformed, filename, "exec", shell.compile.flags | MODULE_SCOPE, dont_inherit=True)
    names = find_names(transformed)
    inputs = gather(names.needed, shell.user_ns, source, only=options.inputs, is_own=_owned_by(shell))
    code = CellCode(source, filename, f"[{number}]")
    return RemoteCell(code, names, inputs, shell.user_ns, _wanted(names, inputs, options.outputs), options.outputs is not None)


def _owned_by(shell: Any) -> Callable[[str], bool]:
    hidden, namespace = shell.user_ns_hidden, shell.user_ns
    return lambda name: name in hidden and hidden[name] is namespace[name]


def _wanted(names: Names, inputs: Inputs, asked: Sequence[str] | None) -> tuple[str, ...]:
    if asked is None:
        return names.assigned
    may_be_hidden = names.uses_magics or names.star_imports or "exec" in names.needed
    if not may_be_hidden:
        known = dict.fromkeys((*names.assigned, *names.changed, *inputs.values))
        require(asked, known, "-o", f"the cell does not assign it; it assigns {', '.join(names.assigned) or 'nothing'}")
    return tuple(dict.fromkeys(asked))


class RunningCell(NamedTuple):
    """A cell that was submitted."""

    cell: RemoteCell
    ref: ObjectRef
    backend: Backend
    run: cell_runs.CellRun | None

    def outcome(self) -> CellOutcome:
        """Wait for what it brings back; raises what it raised."""
        result = self.backend.get([self.ref.id])[0]
        assert isinstance(result, CellOutcome)
        return result


def submit(cell: RemoteCell, options: CallOptions) -> RunningCell:
    """Ship a cell as a task of the cell run that goes on now. Raises NotShippable, InfeasibleRequest, StoreFull."""
    backend = session.current_backend()
    if backend.name == registry.SERIAL:
        raise NotSupportedHere(
            'the backend "serial" runs everything in this process, and a cell does that without %%remote: take the line off, or '
            "start a cluster with %nbray stop and %nbray start"
        )
    cell_run: CellRunId = session.current_cell_run()
    [task_id] = backend.submit(as_task(cell), (), {}, options, cell_run)
    run = cell_runs.current()
    if run is not None:
        run.own_tasks.add(task_id)
    return RunningCell(cell, ObjectRef(task_id, backend.epoch, options.name), backend, run)


def task_name() -> str:
    """How the task of the cell that runs now is called, unless the user says otherwise."""
    run = cell_runs.current()
    return "cell" if run is None else f"cell {run.label}"


def background_text(running: RunningCell) -> str:
    """What `--bg` says before it returns."""
    names = ", ".join(running.cell.wanted)
    stop = "" if running.run is None else f" %nbray cancel {running.run.number} stops it."
    return f"nbray: runs in the background{f'; then it assigns {names}' if names else ''}.{stop}"


def as_task(cell: RemoteCell) -> Callable[[], CellOutcome]:
    """A function that runs the cell on a worker. What it captures is lifted into the store, large parts once each."""
    values, modules, submodules = cell.inputs
    try:
        shipment = Shipment.of(values, cell.namespace)
    except NotShippable as error:
        raise _named(error, values) from None
    return functools.partial(
        run_shipped, cell.code, shipment, modules, submodules, cell.wanted, cell.names.changed, cell.required
    )


def _named(error: NotShippable, values: Mapping[str, Any]) -> NotShippable:
    """The same error with the way from the notebook's name to the culprit."""
    for name, value in values.items():
        try:
            serialization.dumps(value, name)
        except NotShippable as found:
            return found
    return error


def take_over(shell: Any, cell: RemoteCell, outcome: CellOutcome) -> str:
    """Assign in the notebook what a cell brought back; returns a warning about what it could not, or ""."""
    homecoming.assign(shell, outcome)
    if cell.required:
        homecoming.require(outcome, cell.wanted)
    return homecoming.warning(outcome)
