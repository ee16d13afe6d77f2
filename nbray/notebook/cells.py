"""The driver's side of a `%%remote` cell: reads its source, ships it as one task, brings its names back."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, NamedTuple

from nbray import serialization, session
from nbray.backends import registry
from nbray.backends.backend import Backend, CallOptions
from nbray.errors import NotShippable, NotSupportedHere
from nbray.ids import CellRunId
from nbray.notebook import cell_runs, given_items, homecoming, package_versions, promises, yields
from nbray.notebook.cell_history import HISTORY
from nbray.notebook.inputs import Inputs, gather, require
from nbray.notebook.names import Names, find_names
from nbray.notebook.remote_cell import CellCode, CellOutcome
from nbray.notebook.shipment import Shipment, run_shipped
from nbray.objects import ObjectRef
from nbray.plot_items import PlotOrder

MAGIC_LINE = "# %%{magic} {line}\n"
"""Stands where the magic's line was, so that line numbers in tracebacks are those of the cell on the page."""


class CellOptions(NamedTuple):
    """What the line of `%%remote` says, but for what the engine has to know."""

    inputs: Sequence[str] | None = None
    """The names to take along instead of those that are found."""
    outputs: Sequence[str] | None = None
    """The names to bring back instead of all that the cell assigns."""
    magic: str = "remote"
    """The magic whose line stands above the cell; empty where there is none."""
    kept: Set[str] | None = None
    """In a persistent namespace: the names of its own, which are not taken along. Nothing comes back there unless it is asked."""
    plot: PlotOrder | None = None
    """What to draw of the items that the cell yields."""
    many: str = ""
    """The option or magic that runs it several times; then it may not yield."""


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
    kept: Set[str] = frozenset()
    """What its persistent namespace has of its own."""


def read_cell(shell: Any, line: str, cell: str, options: CellOptions) -> RemoteCell:
    """Find out what a cell needs and assigns; raises SyntaxError, and UsageError for names that cannot be.

    `line` is what stands behind `%%remote`.
    """
    stands_alone = cell.lstrip().startswith("%%") or not options.magic
    source = cell if stands_alone else MAGIC_LINE.format(magic=options.magic, line=line) + cell
    transformed = shell.transform_cell(source)
    run = cell_runs.current()
    number = shell.execution_count if run is None else run.number
    filename = shell.compile.cache(transformed, number, raw_code=source)
    gives_items = yields.compiled(transformed, filename, shell.compile.flags | yields.MODULE_SCOPE).yields
    if gives_items and options.many:
        yields.refuse_in(options.many)
    gives_items = gives_items or options.plot is not None
    names = find_names(transformed)
    needed = [name for name in names.needed if name not in (options.kept or ())]
    inputs = gather(needed, shell.user_ns, source, only=options.inputs, is_own=owned_by(shell))
    code = CellCode(source, filename, f"[{number}]", options.plot, gives_items)
    wanted = wanted_names(names, inputs, options.outputs) if options.kept is None else tuple(dict.fromkeys(options.outputs or ()))
    wanted += (yields.ITEMS,) * gives_items
    return RemoteCell(code, names, inputs, shell.user_ns, wanted, options.outputs is not None, options.kept or frozenset())


def owned_by(shell: Any) -> Callable[[str], bool]:
    """Says of a name whether it is IPython's own: the worker has one too."""
    hidden, namespace = shell.user_ns_hidden, shell.user_ns
    return lambda name: name in hidden and hidden[name] is namespace[name]


def wanted_names(names: Names, inputs: Inputs, asked: Sequence[str] | None) -> tuple[str, ...]:
    """What a cell shall bring back; raises UsageError where the user has asked for what it cannot assign."""
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
    receive: Callable[[Callable[[], Any]], Any] = lambda wait: wait()
    """Makes what the cell brings back of its task's value, for which it calls `wait`."""

    @property
    def refs(self) -> tuple[ObjectRef]:
        """What its task will give."""
        return (self.ref,)

    def take_over(self, shell: Any) -> str:
        """Wait for what it brings back, and assign it; raises what it raised. Returns a warning about what stays there, or ""."""
        return take_over(shell, self.cell, self.outcome())

    def outcome(self) -> CellOutcome:
        """Wait for what it brings back; raises what it raised."""
        try:
            result = self.receive(lambda: self.backend.get([self.ref.id])[0])
        except BaseException as error:
            HISTORY.came(self.run, self.ref.id, None, error)
            if isinstance(error, KeyboardInterrupt):
                promises.keep([self.ref])
            raise
        assert isinstance(result, CellOutcome)
        HISTORY.came(self.run, self.ref.id, result.values, None)
        return result


def submit(cell: RemoteCell, options: CallOptions, wrap: Callable[[Any], Any] = lambda task: task) -> RunningCell:
    """Ship a cell as a task of the cell run that goes on now; `wrap` makes the function that is sent of the cell's own.

    Raises NotShippable, InfeasibleRequest, StoreFull.
    """
    run = cell_runs.current()
    sending = HISTORY.send(run, "remote")
    backend = cluster_for_cells()
    sending.ready()
    cell_run: CellRunId = session.current_cell_run()
    task = as_task(cell)
    [task_id] = backend.submit(wrap(task), (), {}, options, cell_run)
    promise = promises.Promise(kind="cell", ids=[task_id], wanted=cell.wanted, required=cell.required)
    promises.give(backend, cell_run, promise)
    if run is not None:
        run.own_tasks.add(task_id)
    sending.sent(task_id, backend, cell.inputs.values, task.args[1].size)
    return RunningCell(cell, ObjectRef(task_id, backend.epoch, options.name), backend, run)


def cluster_for_cells(magic: str = "remote") -> Backend:
    """The backend in use, started where there is none. Raises NotSupportedHere where it runs nothing elsewhere."""
    backend = session.current_backend()
    if backend.name == registry.SERIAL:
        raise NotSupportedHere(
            f'the backend "serial" runs everything in this process, and a cell does that without %%{magic}: take the line off, '
            "or start a cluster with %nbray stop and %nbray start"
        )
    return backend


def task_name() -> str:
    """How the task of the cell that runs now is called, unless the user says otherwise."""
    run = cell_runs.current()
    return "cell" if run is None else f"cell {run.label}"


def background_text(running: RunningCell) -> str:
    """What `--bg` says before it returns."""
    names = ", ".join(name for name in running.cell.wanted if name != yields.ITEMS)
    stop = "" if running.run is None else f" %nbray cancel {running.run.number} stops it."
    return f"nbray: runs in the background{f'; then it assigns {names}' if names else ''}.{stop}"


def as_task(cell: RemoteCell) -> functools.partial[CellOutcome]:
    """A function that runs the cell on a worker. What it captures is lifted into the store, large parts once each."""
    _, modules, submodules = cell.inputs
    return functools.partial(
        run_shipped, cell.code, shipment_of(cell), modules, submodules, cell.wanted, cell.names.changed, cell.required
    )


def shipment_of(cell: RemoteCell) -> Shipment:
    """The values that a cell takes along; says first which packages differ on the workers. Raises NotShippable."""
    if session.is_initialized():
        sys.stderr.write(package_versions.warning(session.current_backend(), cell.inputs.modules.values(), cell.inputs.values))
    try:
        return Shipment.of(cell.inputs.values, cell.namespace)
    except NotShippable as error:
        raise _named(error, cell.inputs.values) from None


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
    said = given_items.hand_over(shell, cell.code, outcome)
    homecoming.assign(shell, outcome)
    if cell.required:
        homecoming.require(outcome, [name for name in cell.wanted if name != yields.ITEMS])
    return said + homecoming.warning(outcome)
