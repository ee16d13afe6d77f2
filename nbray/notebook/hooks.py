"""Owns the wiring of a shell: its cells become cell runs, their output and cards reach the page, Stop reaches the cluster."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nbray import progress_bars, session
from nbray.backends.backend import Backend
from nbray.ids import BACKGROUND, CellRunId
from nbray.import_hooks import when_imported
from nbray.notebook import post_mortem, stop, tracebacks
from nbray.notebook.cell_runs import RUNS, CellRun
from nbray.notebook.display import Display, KernelDisplay, TerminalDisplay, header_of
from nbray.notebook.job import cell_label, job_key, notebook_path

if TYPE_CHECKING:
    from nbray.notebook.cell_history import CellHistory
    from nbray.notebook.prompts import Prompts
    from nbray.notebook.publisher import Publisher

END_SECONDS = 3.0
"""How long a cell's end may wait for its last output and for the answer to a cancel; the rest follows by itself."""

Uninstall = Callable[[], None]

_installed: WeakKeyDictionary[Any, CellHooks] = WeakKeyDictionary()
"""By shell."""


def install(shell: Any) -> Uninstall:
    """Follow the cells of this IPython shell from the one that runs now on; returns what undoes it."""
    hooks = _installed[shell] = CellHooks(shell)
    session.set_defaults(job=job_of(shell), notebook=notebook_path(os.environ, shell.user_ns))
    hooks.begin(hooks.stored_inputs - 1)
    shell.events.register("pre_run_cell", hooks.pre_run_cell)
    shell.events.register("post_run_cell", hooks.post_run_cell)
    session.on_start(hooks.attach)
    show_all_frames = tracebacks.install(shell)
    debug_as_before = post_mortem.install(shell)
    undo_drawing = [hooks.draw_experiments(), hooks.draw_plots()] if getattr(shell, "kernel", None) is not None else []

    def uninstall() -> None:
        shell.events.unregister("pre_run_cell", hooks.pre_run_cell)
        shell.events.unregister("post_run_cell", hooks.post_run_cell)
        show_all_frames()
        debug_as_before()
        for undo in undo_drawing:
            undo()
        session.on_start(None)
        _installed.pop(shell, None)
        session.set_cell_run(BACKGROUND)
        hooks.close()

    return uninstall


def publisher_of(shell: Any) -> Publisher | None:
    """What shows the output of tasks in this shell's cells; None before its first cluster."""
    hooks = _installed.get(shell)
    return None if hooks is None else hooks.publisher


def _current_job() -> str:
    """What this notebook's work is called in the cluster that it uses."""
    backend = session.current.backend
    return backend.job if backend is not None and backend.job else str(session.current.defaults["job"])


def job_of(shell: Any) -> str:
    """The key of this process's job."""
    script = sys.argv[0] if sys.argv else ""
    return job_key(connection_file(shell), os.environ, shell.user_ns, script, os.getpid())


def connection_file(shell: Any) -> str:
    """The path of the kernel's connection file; "" where there is no kernel."""
    kernel = getattr(shell, "kernel", None)
    app = getattr(kernel, "parent", None)
    return str(getattr(app, "connection_file", "") or "")


class CellHooks:
    """What happens before and after each cell, on the thread that runs it."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        kernel = getattr(shell, "kernel", None)
        self._display: Display = TerminalDisplay() if kernel is None else KernelDisplay(kernel)
        self._has_kernel = kernel is not None
        self._process = uuid.uuid4().hex[:8]
        self._begun = 0
        self._publisher: Publisher | None = None
        self._prompts: Prompts | None = None
        self._left_out: set[CellRunId] = set()
        """Cells whose tasks shall have no card, said before there was a publisher."""
        self._interrupts = stop.Interrupts()

    @property
    def publisher(self) -> Publisher | None:
        """What shows the output of tasks; None before the first cluster."""
        return self._publisher

    def attach(self, backend: Backend) -> None:
        """A cluster has started: show what its tasks print and do."""
        run = RUNS.of_thread(threading.get_ident())
        if run is not None:
            run.starting += session.current.start_seconds
        self._open_publisher().attach(backend)
        if self._prompts is not None:
            self._prompts.attach(backend)
        if backend.joined:
            from nbray.notebook import own_cluster

            sys.stderr.write(own_cluster.left_text(backend))
        while self._left_out and self._publisher is not None:
            self._publisher.leave_out(self._left_out.pop())

    def _open_publisher(self) -> Publisher:
        """What puts things on the page; what it takes is imported with the first cluster or plot."""
        if self._publisher is None:
            from nbray.notebook import prompts
            from nbray.notebook.publisher import Publisher

            status = getattr(getattr(self._shell, "kernel", None), "remote_status", None)  # of nbray's own kernel
            work = {} if status is None else {"work": lambda cell_runs: status.hear(_current_job(), cell_runs)}
            self._publisher = Publisher(self._display, RUNS, history=self._history(), **work)
            progress_bars.show_with(self._publisher.show_progress if self._has_kernel else None)
            atexit.register(self._publisher.close)
            self._prompts = prompts.open_in(self._shell, RUNS, self._publisher)
        return self._publisher

    def _history(self) -> CellHistory:
        """What writes down what this notebook's cells took."""
        from nbray.notebook import history_file
        from nbray.notebook.cell_history import HISTORY

        notebook = notebook_path(os.environ, self._shell.user_ns) or session.current.defaults["job"]
        HISTORY.open(notebook, history_file.directory)
        return HISTORY

    def draw_plots(self) -> Uninstall:
        """Draw what `nbray.plot` tells here, once it is imported; returns what ends that."""
        undo: list[Uninstall] = []
        gone = threading.Event()

        def show(plots: Any) -> None:
            if not gone.is_set():
                plots.show_with(lambda cell_run, points: self._open_publisher().show_points(cell_run, points))
                undo.append(lambda: plots.show_with(None))

        when_imported("nbray.plots", show)

        def stop() -> None:
            gone.set()
            for step in undo:
                step()

        return stop

    def draw_experiments(self) -> Uninstall:
        """Give each experiment a card, once the part of nbray that runs them is imported; returns what ends that."""
        undo: list[Uninstall] = []
        gone = threading.Event()

        def register(observers: Any) -> None:
            if not gone.is_set():
                undo.append(observers.register(self._draw_experiment, self._leave_out))

        when_imported("nbray.tune.observers", register)

        def stop() -> None:
            gone.set()
            for step in undo:
                step()

        return stop

    def _draw_experiment(self, run: Any) -> Any:
        from nbray.notebook.tuning import card_of

        return card_of(run, self._display)

    def _leave_out(self) -> None:
        """An experiment has a card of its own: its tasks are not shown as work of the cell that runs."""
        run = RUNS.of_thread(threading.get_ident())
        if run is None:
            return
        self._left_out.add(run.id)
        if self._publisher is not None:
            self._publisher.leave_out(self._left_out.pop())

    def close(self) -> None:
        """Publish what is left, and no more."""
        if self._publisher is not None:
            progress_bars.show_with(None)
            atexit.unregister(self._publisher.close)
            self._publisher.close()

    def pre_run_cell(self, info: Any) -> None:
        """A cell begins; its input is not in the history yet."""
        self.begin(self.stored_inputs)
        run = RUNS.of_thread(threading.get_ident())
        if run is not None and not run.source:
            run.source = info.raw_cell or ""

    @property
    def stored_inputs(self) -> int:
        """The length of IPython's `In`, which begins with an empty one."""
        return len(self._shell.user_ns.get("In", ()))

    def begin(self, position: int) -> None:
        """From now on what is submitted belongs to the cell that runs, whose input has this position in `In`."""
        parent = header_of(self._shell.get_parent()) if self._has_kernel else None
        if parent is None and self._has_kernel:
            return  # loaded while the kernel starts: no cell runs
        self._begun += 1
        cell_run = CellRunId(parent["header"]["msg_id"] if parent else f"{self._process}-{self._begun}")
        run = RUNS.begin(CellRun(cell_run, self._number(position), parent, threading.get_ident()))
        backend = session.current.backend
        if run.written is None and backend is not None:
            run.written = backend.written()
        if session.current.cell_run != run.id:
            notebook = notebook_path(os.environ, self._shell.user_ns)
            session.set_cell_run(run.id, cell_label(run.number, notebook))
            self._interrupts.watch(lambda: self._stop(run))
            run.arrange = lambda: self._arrange(run)

    def _arrange(self, run: CellRun) -> None:
        if self._publisher is not None:
            self._publisher.arrange(run, END_SECONDS)

    def _stop(self, run: CellRun) -> None:
        if self._prompts is not None:
            self._prompts.stop(run.id)
        if self._publisher is not None:
            self._publisher.stop(run)

    def _number(self, position: int) -> int:
        """The number beside the cell: newer releases of IPython count on before a cell begins, older ones at its end."""
        count = int(self._shell.execution_count)
        return position if position in (count - 1, count) else count

    def post_run_cell(self, result: Any) -> None:
        """A cell's code has ended, well or not; a blank one never began."""
        if result is not None and not (result.info.raw_cell or "").strip():
            return
        run = RUNS.of_thread(threading.get_ident())
        if run is None or RUNS.end(run.id) is None:
            return
        self._interrupts.shield()
        interrupted = self._interrupts.came or stop.was_interrupted(result)
        outer = RUNS.current
        session.set_cell_run(outer.id if outer else BACKGROUND)
        if self._publisher is not None:
            raised = result is None or not result.success
            self._publisher.end_cell(run, raised=raised, interrupted=interrupted, timeout=END_SECONDS)
            if self._prompts is not None:
                self._prompts.end_cell(run.id)
            if result is not None:
                error = result.error_before_exec or result.error_in_exec
                self._publisher.note_end(run, result.info.raw_cell or "", error, interrupted=interrupted)
        self._interrupts.release(stays=interrupted and self._has_kernel)
