"""Breakpoints inside tasks: pdb runs in the worker, and is talked to in the notebook's cell.

pdb itself is changed, in workers only, so that every way to it works: `breakpoint()`, `pdb.set_trace()`, `pdb.post_mortem()`,
IPython's debugger. It asks through `worker_input`, sees the user's frames and not those that run the task, and lets Stop
through, which it would take for the end of a command.
"""

from __future__ import annotations

import ast
import io
import linecache
import os
import sys
import sysconfig
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any

from nbray import worker_input
from nbray.engine import task_context
from nbray.errors import QuitAtBreakpoint
from nbray.ids import TaskId
from nbray.import_hooks import when_imported
from nbray.worker_input import NobodyAnswers

_OURS = str(Path(__file__).parent) + os.sep
_STDLIB = sysconfig.get_path("stdlib") + os.sep
_INSTALLED = ("/site-packages/", "/dist-packages/")

_talking: set[TaskId] = set()
"""Tasks that are in the debugger."""
_passed: set[TaskId] = set()
"""Tasks that go on without one, as nobody can answer."""


def _plain_debugger() -> Any:
    import pdb  # most workers never need it

    return pdb.Pdb()


make_debugger: Callable[[], Any] = _plain_debugger
"""Makes what `breakpoint()` opens; a notebook's cluster has IPython's."""


def take_breakpoints() -> None:
    """Let breakpoints in this process's tasks open a debugger in the notebook; a worker calls this once."""
    sys.breakpointhook = _at_breakpoint
    when_imported("pdb", _change)
    when_imported("IPython.core.debugger", _change_ipython)


def _at_breakpoint(*args: Any, **kwargs: Any) -> Any:
    context = task_context.current()
    if context is None or os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*args, **kwargs)
    if context.task_id not in _passed:
        make_debugger().set_trace(sys._getframe().f_back)
    return None


# -------------------------------------------------------------------- pdb, changed


def _change(pdb: ModuleType) -> None:
    kind: Any = pdb.Pdb
    begin, interact, get_stack, stop_here = kind.__init__, kind.interaction, kind.get_stack, kind.stop_here
    set_trace, go_on, quit_ = kind.set_trace, kind.set_continue, kind.set_quit
    called, returned = kind.user_call, kind.user_return
    sys.modules["bdb"].BdbQuit = QuitAtBreakpoint  # type: ignore[attr-defined]

    def __init__(self: Any, *args: Any, **options: Any) -> None:  # noqa: N807 - it replaces pdb's
        begin(self, *args, **options)
        self.nosigint = True  # SIGINT cancels the task, and no one shall take that over

    def set_trace_here(self: Any, frame: FrameType | None = None, **options: Any) -> None:
        set_trace(self, frame or sys._getframe().f_back, **options)
        _leave_machinery_alone()

    def interaction(self: Any, frame: FrameType | None, traceback: Any, *more: Any) -> None:
        try:
            interact(self, frame, traceback, *more)
        except NobodyAnswers as refused:
            _pass_by(self, refused)
        finally:
            if frame is None:
                _end_talk()

    def set_continue(self: Any) -> None:
        go_on(self)
        _end_talk()

    def set_quit(self: Any) -> None:
        quit_(self)
        _end_talk()

    def users_stack(self: Any, frame: FrameType | None, traceback: TracebackType | None) -> Any:
        stack, current = get_stack(self, frame, traceback)
        first = next((place for place, (each, _) in enumerate(stack) if is_users(each)), 0)
        return stack[first:], max(0, current - first)

    kind.__init__, kind.set_trace, kind.interaction = __init__, set_trace_here, interaction
    def user_return(self: Any, frame: FrameType, value: Any) -> None:
        if not (_is_whole_statement(frame) and _is_followed(frame)):
            returned(self, frame, value)

    def user_call(self: Any, frame: FrameType, arguments: Any) -> None:
        if not _is_whole_statement(frame):
            called(self, frame, arguments)

    kind.user_call, kind.user_return, kind.get_stack = user_call, user_return, users_stack
    kind.set_continue, kind.set_quit = set_continue, set_quit
    kind.stop_here = lambda self, frame: is_users(frame) and stop_here(self, frame)
    kind._cmdloop = _commands


def _change_ipython(debugger: ModuleType) -> None:
    """IPython's own debugger takes Stop for the end of a command, too."""
    kind: Any = debugger.Pdb
    interact = kind.interaction

    def interaction(self: Any, *args: Any) -> None:
        interact(self, *args)
        if self.__dict__.pop("nbray_stopped", False):
            raise KeyboardInterrupt

    kind.interaction, kind._cmdloop = interaction, _commands


def _commands(self: Any) -> None:
    """Ask for commands until one goes on."""
    context = task_context.current()
    if context is None:
        self.cmdloop()
        return
    _begin_talk(context.task_id)
    try:
        with worker_input.talk():
            self.cmdloop()
    except KeyboardInterrupt:
        self.nbray_stopped = self.quitting = True
        self.stdout = io.StringIO()  # the notebook says what was stopped
        raise


def _pass_by(self: Any, refused: NobodyAnswers) -> None:
    """Nobody can answer: say so once, and let the task go on."""
    context = task_context.current()
    assert context is not None, "only tasks ask"
    self.message(f"nbray: {context.name} goes on from here without a debugger: {refused.reason}")
    self.forget()
    self.set_continue()
    if _has_end():
        _passed.add(context.task_id)
        task_context.at_end(lambda: _passed.discard(context.task_id))


# -------------------------------------------------------------------- a talk with the user


def _begin_talk(task_id: TaskId) -> None:
    if task_id not in _talking:
        _talking.add(task_id)
        if _has_end():
            task_context.at_end(_stop_tracing)


def _end_talk() -> None:
    task_id = task_context.current_id()
    if task_id in _talking:
        _talking.discard(task_id)
        worker_input.end_talk()


def _stop_tracing() -> None:
    """The task has ended, maybe while it was stepped through; breakpoints that were set in it would stay in the process."""
    sys.settrace(None)
    sys.modules["bdb"].Breakpoint.clearBreakpoints()
    _end_talk()


def _has_end() -> bool:
    """Whether what runs here is told of the task's end: it is on the thread of the task, not on one that it has started."""
    return threading.current_thread() is threading.main_thread()


# -------------------------------------------------------------------- whose frames


def is_users(frame: FrameType | None) -> bool:
    """Whether a frame runs the user's code, or a library on its behalf: not what runs the task."""
    ours = _machinery()
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(ours):
            return False
        if not _is_library(file):
            return True
        frame = frame.f_back
    return False


def _machinery() -> tuple[str, ...]:
    """Where the code lies that runs tasks and cells."""
    file = getattr(sys.modules.get("IPython"), "__file__", None)
    return (_OURS, str(Path(file).parent) + os.sep) if file else (_OURS,)


def _is_library(file: str) -> bool:
    return file.startswith(("<frozen ", "<string>", _STDLIB)) or any(part in file for part in _INSTALLED)


def _is_whole_statement(frame: FrameType) -> bool:
    """Whether a frame is a statement of a cell: IPython runs each as a module of its own, which nobody wants to hear of."""
    return frame.f_code.co_name == "<module>" and not is_users(frame.f_back)


def _is_followed(frame: FrameType) -> bool:
    """Whether more statements stand behind that of the frame, where one can stop next."""
    try:
        statements = ast.parse("".join(linecache.getlines(frame.f_code.co_filename))).body
    except SyntaxError:
        return False
    return bool(statements) and frame.f_lineno < statements[-1].lineno


def _leave_machinery_alone() -> None:
    """What runs the task is not stepped through, and keeps no debugger, which would keep the user's variables."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if not is_users(frame):
            frame.f_trace = None
        frame = frame.f_back
