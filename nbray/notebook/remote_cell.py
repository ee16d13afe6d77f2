"""The worker's side of a `%%remote` cell: runs its code under an IPython shell and says what it prints, shows and assigns.

One shell a worker, a fresh namespace a cell run. The shell prints through the worker's own `sys.stdout`; what it displays
goes the same way as output of the running task, in order.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import os
import sys
import traceback
import types
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

from IPython.core import display_functions
from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from nbray import serialization, sources
from nbray.by_value import leave_home
from nbray.engine import task_context
from nbray.errors import NotShippable
from nbray.notebook.values import LARGE, ModuleName, Preview, RemoteValue
from nbray.objects import put

TRACEBACK_ATTRIBUTE = "nbray_traceback"
"""Where an exception carries the traceback as IPython rendered it on the worker: a list of strings with ANSI colours."""


_ABSENT = object()


class CellCode(NamedTuple):
    """A cell as it travels: its text, the file name under which the notebook compiles it, and its label "[4]"."""

    source: str
    filename: str
    label: str


class CellOutcome(NamedTuple):
    """What a cell brings back: values by name, and why the others stay behind."""

    values: dict[str, Any]
    left_out: dict[str, str]


def run_cell(
    code: CellCode, inputs: Mapping[str, Any], modules: Mapping[str, str], wanted: tuple[str, ...],
    namespace: dict[str, Any] | None = None, *, only_wanted: bool = True,
) -> CellOutcome:  # fmt: skip
    """Run a cell with its inputs, and with `modules` imported under their aliases; returns the `wanted` names.

    Unless `only_wanted`, the other public names that it has assigned come too. It runs in `namespace`, where functions
    among the inputs look up their globals, else in a new one. Raises what the cell raised, with the rendered traceback in
    the attribute `nbray_traceback`.
    """
    shell = _shell()
    contents = {name: importlib.import_module(module) for name, module in modules.items()} | dict(inputs)
    shell.begin({} if namespace is None else namespace, contents)
    before = dict(shell.user_ns)
    try:
        shell.run(code)
        _show_figures()
        return _bring(shell.user_ns, wanted if only_wanted else (*wanted, *_assigned(before, shell.user_ns)))
    finally:
        shell.end()


def _assigned(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The public names that were bound meanwhile: what the source of a cell does not show, as after `from m import *`."""
    return [name for name, value in after.items() if name[0] != "_" and before.get(name, _ABSENT) is not value]


class _RemotePublisher(DisplayPublisher):
    """Sends what a cell displays to the cell in the notebook."""

    def publish(  # type: ignore[override]
        self, data: dict[str, Any], metadata: dict[str, Any] | None = None, *, transient: dict[str, Any] | None = None,
        update: bool = False, **_: Any,
    ) -> None:  # fmt: skip
        """See IPython's DisplayPublisher."""
        kind = "update_display_data" if update else "display_data"
        emit(kind, {"data": _as_json(data), "metadata": metadata or {}, "transient": transient or {}})

    def clear_output(self, wait: bool = False) -> None:
        """See IPython's DisplayPublisher."""
        emit("clear_output", {"wait": wait})


class _RemoteDisplayHook(DisplayHook):
    """Shows a cell's last expression."""

    def quiet(self) -> bool:
        """Whether the cell ends with a semicolon; IPython's own looks into the history, which is off here."""
        cell = None if self.shell is None else self.shell.compile.cell
        return cell is not None and bool(self.semicolon_at_end_of_expression(cell.source))

    def __call__(self, result: Any = None) -> None:
        """See IPython's DisplayHook."""
        if result is not None and not self.quiet():
            data, metadata = self.compute_format_data(result)
            if data:
                emit("display_data", {"data": _as_json(data), "metadata": metadata, "transient": {}})


def emit(stream: str, content: Mapping[str, Any]) -> None:
    """Send a display message to the cell of the running task, after what has been printed so far."""
    context = task_context.current()
    if context is not None:
        context.emit(stream, json.dumps(content, default=str).encode())


def _as_json(data: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: b64encode(part).decode() if isinstance(part, bytes) else part for kind, part in data.items()}


class _CellCompiler(CachingCompiler):
    """Compiles a cell under the file name that it has in its notebook, and names it in tracebacks as the notebook does."""

    def __init__(self) -> None:
        super().__init__()
        self.cell: CellCode | None = None
        self._labels: dict[str, str] = {}

    def begin(self, cell: CellCode) -> None:
        """What is compiled next is this cell."""
        self.cell = cell
        self._labels[cell.filename] = cell.label

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        """See IPython's CachingCompiler."""
        if self.cell is None or raw_code != self.cell.source:
            return str(super().get_code_name(raw_code, transformed_code, number))
        return self.cell.filename

    def format_code_name(self, name: str) -> tuple[str, str] | None:
        """See IPython's CachingCompiler."""
        return ("Cell", f"In{self._labels[name]}") if name in self._labels else None


class RemoteShell(InteractiveShell):
    """The one IPython shell of a worker."""

    compile: _CellCompiler
    _rendered: list[str]

    def enable_gui(self, gui: Any = None) -> None:
        """There is no event loop here; `%matplotlib inline` asks for none."""

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        """Nothing is printed here: the notebook shows the traceback with the exception."""
        self._rendered = [str(line) for line in stb]

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        """See InteractiveShell, which prints groups of exceptions by itself, with its own frames."""
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1]
        if not isinstance(error, BaseExceptionGroup):
            super().showtraceback(exc_tuple, *args, **options)
            return
        frames = None if error.__traceback__ is None else error.__traceback__.tb_next
        text = "".join(traceback.format_exception(type(error), error, frames))
        self._rendered = sources.with_cell_labels(text).splitlines()

    def begin(self, namespace: dict[str, Any], contents: Mapping[str, Any]) -> None:
        """Run what follows in this namespace, filled as that of a new kernel with these contents."""
        self.user_module, self.user_ns = self.prepare_user_module(user_ns=namespace)
        self.init_sys_modules()
        self.user_ns_hidden.clear()
        self.init_user_ns()
        self.user_ns.update(contents)

    def run(self, code: CellCode) -> None:
        """Run a cell under the name that its notebook gave it; raises what it raised."""
        self._rendered = []
        self.compile.begin(code)
        result = self.run_cell(code.source, store_history=False)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:
            with contextlib.suppress(AttributeError, TypeError):  # an exception with slots has no room for it
                setattr(error, TRACEBACK_ATTRIBUTE, self._rendered)
            raise error

    def end(self) -> None:
        """Keep nothing of the cell, so that its large inputs can go; its functions keep its namespace while they live."""
        self.begin({}, {})
        self.last_execution_result = None
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            sys.__dict__.pop(name, None)
        pyplot = sys.modules.get("matplotlib.pyplot")
        if pyplot is not None:
            pyplot.close("all")


_the_shell: RemoteShell | None = None


def _shell() -> RemoteShell:
    """The worker's shell, made at first use; takes about 0.1 s."""
    global _the_shell
    if _the_shell is None:
        os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "neutral"
        _the_shell = RemoteShell.instance(
            config=config, display_pub_class=_RemotePublisher, displayhook_class=_RemoteDisplayHook
        )  # fmt: skip
        _the_shell.compile = _CellCompiler()
    return _the_shell


def take_displays() -> None:
    """Let `display(...)` in plain tasks reach the cell too: the first call makes the shell that it needs."""
    show = display_functions.display

    @functools.wraps(show)
    def display(*objects: Any, **options: Any) -> Any:
        _shell()
        return show(*objects, **options)

    display_functions.display = display
    for name in ("IPython.display", "IPython.core.display"):
        if name in sys.modules:
            sys.modules[name].display = display  # type: ignore[attr-defined]


def _show_figures() -> None:
    """Show the figures that the cell has drawn and not shown, as a notebook does at the end of a cell."""
    if "matplotlib.pyplot" in sys.modules:
        from matplotlib_inline import backend_inline

        backend_inline.configure_inline_support(_shell(), "module://matplotlib_inline.backend_inline")
        backend_inline.flush_figures()


def _bring(namespace: Mapping[str, Any], wanted: tuple[str, ...]) -> CellOutcome:
    """Small values as they are, large ones as handles, modules by name; what cannot be shipped with the reason."""
    outcome = CellOutcome({}, {})
    for name in dict.fromkeys(wanted):
        if name not in namespace:
            continue
        value = namespace[name]
        try:
            outcome.values[name] = _packed(name, value)
        except NotShippable as error:
            outcome.left_out[name] = str(error)
    return outcome


def _packed(name: str, value: Any) -> Any:
    if isinstance(value, types.ModuleType):
        return ModuleName(value.__name__)
    size = serialization.encoded_size(serialization.dumps(value, name))
    if isinstance(value, type):
        leave_home(value)
    return value if size <= LARGE else RemoteValue(put(value), Preview.of(value, size))
