"""The IPython shell of a worker: runs the code of cells, sends what they display to the notebook, renders what they raise.

One shell a worker, made at first use. It prints through the worker's own `sys.stdout`; what it displays goes the same way
as output of the running task, in order.
"""

from __future__ import annotations

import functools
import json
import linecache
import os
import sys
import threading
import traceback
import types
import warnings
from base64 import b64encode
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple

from IPython.core import display_functions, page
from IPython.core.compilerop import CachingCompiler
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.error import UsageError as MagicError
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

from nbray import breakpoints, sources
from nbray.engine import task_context
from nbray.notebook import notebook_only, run_measures, yielded_items, yields
from nbray.plot_items import PlotOrder

TRACEBACK_ATTRIBUTE = "nbray_traceback"
"""Where an exception carries the traceback as IPython rendered it on the worker: a list of strings with ANSI colours."""

INLINE_FIGURES = "module://matplotlib_inline.backend_inline"


class CellCode(NamedTuple):
    """A cell as it travels: its text, the file name under which the notebook compiles it, and its label "[4]"."""

    source: str
    filename: str
    label: str
    plot: PlotOrder | None = None
    """What to draw of the items that it yields."""
    yields: bool = False
    """Whether it gives items, which come back."""


def emit(stream: str, content: Mapping[str, Any]) -> None:
    """Send a display message to the cell of the running task, after what has been printed so far."""
    context = task_context.current()
    if context is not None:
        context.emit(stream, json.dumps(content, default=str).encode())


def _as_json(data: Mapping[str, Any]) -> dict[str, Any]:
    return {kind: b64encode(part).decode() if isinstance(part, bytes) else part for kind, part in data.items()}


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

    @property
    def prompt_count(self) -> int:
        """The number of the cell in its notebook, under which `Out` has it; IPython's own is of this shell."""
        cell = getattr(getattr(self.shell, "compile", None), "cell", None)
        return 0 if cell is None else int(cell.label.strip("[]"))

    def quiet(self) -> bool:
        """Whether the cell ends with a semicolon; IPython's own looks into the history, which is off here."""
        cell = the_shell().compile.cell
        return cell is not None and bool(self.semicolon_at_end_of_expression(cell.source))

    def __call__(self, result: Any = None) -> None:
        """See IPython's DisplayHook."""
        if yielded_items.takes(result):
            yielded_items.take_all(result)
        elif result is not None and not self.quiet():
            data, metadata = self.compute_format_data(result)
            if data:
                emit("display_data", {"data": _as_json(data), "metadata": metadata, "transient": {}})
            if the_shell().keeps_results:
                self.update_user_ns(result)


class _CellCompiler(CachingCompiler):
    """Compiles one cell under the file name that it has in its notebook, and names it in tracebacks as the notebook does."""

    def __init__(self, cell: CellCode | None = None) -> None:
        super().__init__()
        self.cell = cell

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        """See IPython's CachingCompiler."""
        if self.cell is None or raw_code != self.cell.source:
            return str(super().get_code_name(raw_code, transformed_code, number))
        return self.cell.filename

    def format_code_name(self, name: str) -> tuple[str, str] | None:
        """See IPython's CachingCompiler."""
        return ("Cell", f"In{self.cell.label}") if self.cell is not None and self.cell.filename == name else None


class RemoteShell(InteractiveShell):
    """The one IPython shell of a worker."""

    compile: _CellCompiler
    _rendered: list[tuple[BaseException, list[str]]]
    """What IPython wanted to show as tracebacks during this cell: its error, and those of displays that failed."""
    _threads: set[threading.Thread]
    keeps_results = False
    """What is shown as the last expression of a cell stays, as `_` and `Out[4]`."""
    _leaving: bool
    """The cell's event loop is being closed: what is cancelled then has not failed."""

    # ---------------------------------------------------------------- a cell run

    def begin(self, namespace: dict[str, Any], contents: Mapping[str, Any]) -> None:
        """Run what follows in this namespace, filled as that of a new kernel with these contents."""
        self._threads = set(threading.enumerate())
        _close_figures()  # of earlier tasks, which would be shown as this cell's
        self._enter(namespace)
        self.user_ns.update(contents)

    def run(self, code: CellCode) -> None:
        """Run a cell under the name that its notebook gave it; raises what it raised."""
        self._rendered, self._leaving = [], False
        self.last_execution_result = ExecutionResult(None)  # %xdel looks into it
        warnings.filterwarnings("ignore", message="To exit: use")  # IPython's advice after SystemExit is not for a worker
        self.compile = _CellCompiler(code)  # a new one, since a compiler remembers what the cell imports from __future__
        with run_measures.running(self.user_ns):
            items = yielded_items.begin(code.plot)
            try:
                result = self.run_cell(code.source, store_history=False)
            except BaseException as torn:
                items.close(torn)
                raise
            _show_figures()
        error = result.error_before_exec or result.error_in_exec
        items.close(error)
        sys.stderr.write(yielded_items.leave(self.user_ns, items, expected=code.yields))
        result.error_before_exec = result.error_in_exec = None
        self._hand_out_tracebacks(error)
        if error is not None:
            try:
                raise error.with_traceback(_frames_from(code.filename, error.__traceback__))
            finally:
                del error  # its traceback has this frame: they would hold each other, and all that the cell had

    def _hand_out_tracebacks(self, error: BaseException | None) -> None:
        """The cell's own goes with its error, those of displays that failed are shown."""
        for shown, lines in self._rendered:
            if shown is error and error is not None:
                BaseException.__setattr__(error, TRACEBACK_ATTRIBUTE, lines)  # also where its class forbids it
            else:
                emit("error", {"ename": type(shown).__name__, "evalue": str(shown), "traceback": lines})

    def end(self) -> None:
        """Keep nothing of the cell: its functions and its namespace hold each other, and so would its large inputs.

        While threads that it has started go on, they keep it.
        """
        namespace, cell = self.user_ns, self.compile.cell
        self._enter({})
        self.forget()
        _close_figures()
        if self._threads.issuperset(threading.enumerate()):
            namespace.clear()
            if cell is not None:
                linecache.cache.pop(cell.filename, None)

    def forget(self) -> None:
        """Keep no result and no traceback of the cell, whose frames hold what it had."""
        self._rendered, self.last_execution_result, self.InteractiveTB.tb = [], None, None
        for name in ("last_type", "last_value", "last_traceback", "last_exc"):
            sys.__dict__.pop(name, None)

    def _enter(self, namespace: dict[str, Any]) -> None:
        self.user_module, self.user_ns = self.prepare_user_module(user_ns=namespace)
        self.init_sys_modules()
        self.user_ns_hidden.clear()
        self.init_user_ns()

    def _run_in_loop(self, cell: Coroutine[Any, Any, Any]) -> Any:
        """Run a cell that awaits, in a loop of its own: tasks that it leaves behind end with it."""
        import asyncio

        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            try:
                return runner.run(cell)
            finally:
                self._leaving = True

    # ---------------------------------------------------------------- what IPython asks of a shell

    def should_run_async(self, raw_cell: str, *, transformed_cell: Any = None, preprocessing_exc_tuple: Any = None) -> bool:
        """See InteractiveShell, which takes a cell that yields for one that awaits nothing."""
        cell = self.compile.cell
        if cell is None or not cell.yields or preprocessing_exc_tuple is not None:
            asked = {"transformed_cell": transformed_cell, "preprocessing_exc_tuple": preprocessing_exc_tuple}
            return bool(super().should_run_async(raw_cell, **asked))
        try:
            return yields.compiled(transformed_cell, "<cell>", yields.MODULE_SCOPE).awaits
        except SyntaxError:
            return False

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        """Nothing is printed here: the notebook shows the traceback with the exception."""
        self._rendered.append((evalue, [str(line) for line in stb]))

    def showtraceback(self, exc_tuple: Any = None, *args: Any, **options: Any) -> None:
        """See InteractiveShell, which prints groups of exceptions by itself, with its own frames."""
        error = exc_tuple[1] if exc_tuple else sys.exc_info()[1]
        if isinstance(error, KeyboardInterrupt) or self._leaving:  # nobody sees it, and there is little time
            return
        if isinstance(error, SystemExit):  # the code has ended itself: where is told with the error that comes of it
            self._showtraceback(type(error), error, [f"SystemExit: {error}" if str(error) else "SystemExit"])
            return
        if not isinstance(error, BaseExceptionGroup):
            super().showtraceback(exc_tuple, *args, **options)
            return
        frames = None if error.__traceback__ is None else error.__traceback__.tb_next
        text = "".join(traceback.format_exception(type(error), error, frames))
        self._showtraceback(type(error), error, sources.with_cell_labels(text).splitlines())

    def show_usage_error(self, exc: Any) -> None:
        """A magic was called wrongly: one line says it all."""
        self._showtraceback(type(exc), exc, [f"UsageError: {exc}"])

    def ask_exit(self) -> None:
        """`exit` and `quit` end the cell, not the worker."""
        raise SystemExit

    def enable_gui(self, gui: Any = None) -> None:
        """There is no event loop here; `%matplotlib inline` asks for none."""

    def enable_matplotlib(self, gui: Any = None) -> Any:
        """Figures come as pictures; a window or a widget would have nobody to serve it."""
        if gui not in (None, "inline", "agg", INLINE_FIGURES):
            raise MagicError(f"%matplotlib {gui}: figures of a cell on a worker come as pictures: leave the line out")
        return super().enable_matplotlib(gui)


def _show_help(shell: InteractiveShell, text: Any, *_: Any, **__: Any) -> None:
    emit("display_data", {"data": text if isinstance(text, dict) else {"text/plain": text}, "metadata": {}, "transient": {}})


def _frames_from(filename: str, frames: types.TracebackType | None) -> types.TracebackType | None:
    """A traceback without the frames of IPython, which stand before those of the cell."""
    while frames is not None and frames.tb_frame.f_code.co_filename != filename:
        frames = frames.tb_next
    return frames


# -------------------------------------------------------------------- the one shell, and displays without a cell

_the_shell: RemoteShell | None = None


def the_shell() -> RemoteShell:
    """The worker's shell, made at first use; takes about 0.1 s."""
    global _the_shell
    if _the_shell is None:
        os.environ.setdefault("MPLBACKEND", INLINE_FIGURES)
        config = Config()
        config.HistoryManager.enabled = False
        config.InteractiveShell.colors = "neutral"
        _the_shell = RemoteShell.instance(
            config=config, display_pub_class=_RemotePublisher, displayhook_class=_RemoteDisplayHook
        )  # fmt: skip
        _the_shell.compile = _CellCompiler()
        _the_shell.ast_transformers.append(yields.YieldsAsCalls())
        _the_shell.builtin_trap.auto_builtins.update(yielded_items.BUILTINS)
        notebook_only.forbid(_the_shell)
        _the_shell.loop_runner = _the_shell._run_in_loop
        _the_shell.set_hook("show_in_pager", page.as_hook(functools.partial(_show_help, _the_shell)), 99)
    return _the_shell


def take_displays() -> None:
    """Let `display(...)` and `plt.show()` in plain tasks reach the cell too: the first call makes the shell they need.

    A breakpoint opens IPython's debugger there, for which it is made, too.
    """
    breakpoints.make_debugger = _debugger
    os.environ.setdefault("MPLBACKEND", INLINE_FIGURES)
    for name in ("display", "publish_display_data", "clear_output"):
        original = getattr(display_functions, name)
        wrapped = _with_shell(original)
        for module in map(sys.modules.get, ("IPython.core.display_functions", "IPython.display", "IPython.core.display")):
            if getattr(module, name, None) is original:
                setattr(module, name, wrapped)


def _debugger() -> Any:
    from IPython.core.debugger import Pdb  # 20 ms, for those who need it

    the_shell()
    return Pdb()


def _with_shell(show: types.FunctionType) -> Any:
    @functools.wraps(show)
    def shown(*args: Any, **options: Any) -> Any:
        the_shell()
        _support_figures()
        return show(*args, **options)

    return shown


def _support_figures() -> None:
    """Let figures be shown as pictures once matplotlib is in use."""
    if "matplotlib.pyplot" in sys.modules:
        from matplotlib_inline import backend_inline

        backend_inline.configure_inline_support(the_shell(), INLINE_FIGURES)


def _close_figures() -> None:
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")


def _show_figures() -> None:
    """Show the figures that the cell has drawn and not shown, as a notebook does at the end of a cell."""
    if "matplotlib.pyplot" in sys.modules:
        _support_figures()
        sys.modules["matplotlib_inline.backend_inline"].flush_figures()
