"""The magics `%%remote` and `%nbray`: what their lines say, and what is done then."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from IPython.core.display_functions import display
from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from nbray import call_options, session
from nbray.notebook import cell_runs
from nbray.notebook.display import Display

if TYPE_CHECKING:
    from nbray.notebook.background import Background


@magics_class
class NbrayMagics(Magics):
    """`%%remote` and `%nbray`; what they need is imported when they are first used."""

    shell: Any

    def __init__(self, shell: Any, page: Display) -> None:
        super().__init__(shell)
        self._page = page
        self._background: Background | None = None

    # ---------------------------------------------------------------- %%remote

    @magic_arguments()
    @argument("-i", "--inputs", nargs="+", action="extend", metavar="NAME", help="take these names along, not those found")
    @argument("-o", "--outputs", nargs="+", action="extend", metavar="NAME", help="bring these names back, not all assigned")
    @argument("--on", metavar="NAME", help="run it in the namespace NAME, in a worker of its own: what it assigns stays there")
    @argument("--bg", action="store_true", help="return at once: output keeps coming to this cell, names when it has ended")
    @argument("--plan", action="store_true", help="print what would be shipped, with sizes, and run nothing")
    @argument("--cache", action="store_true", help="keep what comes of it on disk: not run again with the same code and inputs")
    @argument("--cpus", type=float, metavar="N", help="CPUs to reserve while the cell runs (1)")
    @argument("--gpus", type=float, metavar="N", help="GPUs to reserve while the cell runs")
    @argument("--memory", metavar="SIZE", help="memory to reserve while the cell runs, for example 2GB")
    @argument("--timeout", type=float, metavar="SECONDS", help="end the cell when it runs for longer")
    @argument("--retries", type=int, metavar="N", help="run it again so often when its worker died")
    @argument("--name", help="how the task is called in cards and errors")
    @cell_magic
    def remote(self, line: str, cell: str) -> None:
        """Run this cell on a worker of the cluster, as if it ran here.

        The names that it uses go along as COPIES: what it changes in place (x.append(1), x[0] = 1) changes there and not
        here. Arrays arrive read-only (x = x.copy() to change one), modules are imported there by name. The names that it
        assigns (x = ...) come back when it has ended well, large ones as handles that are fetched when they are used; a
        cell that fails brings nothing back. What it prints and displays appears here while it runs. Stop cancels it.

        With --on NAME the names that it assigns or changes stay in the namespace NAME, where the next cells find them; only
        those after -o come back. Other names come from the notebook, each time anew. --cpus, --gpus and --memory are held as
        long as the namespace lives. `%remote who` lists what is there, `%remote fetch x --on NAME` brings x.

        With --cache the names that come back and what the cell printed and displayed are kept on disk. The same code with the
        same inputs is not run again, also in another kernel: what was kept is shown and assigned, and it says so. Tracked are
        the names that it takes along, with all that functions and classes among them use, local modules, and versions of
        packages; not files, time, environment variables, randomness, the network and child processes' output.
        """
        from nbray.notebook import cells

        asked = parse(self.remote, line)
        with failing_cleanly(self.shell):
            _refuse_cache_with(asked)
            if asked.on is not None:
                from nbray.notebook import namespace_cells

                namespace_cells.run(self.shell, line, cell, asked, lambda: self.background)
                return
            options = call_options.build(
                {
                    "num_cpus": asked.cpus, "num_gpus": asked.gpus, "memory": asked.memory, "timeout": asked.timeout,
                    "max_retries": asked.retries, "name": (asked.name or "").strip("\"'") or cells.task_name(),
                }
            )  # fmt: skip
            ready = cells.read_cell(self.shell, line, cell, cells.CellOptions(asked.inputs, asked.outputs))
            if asked.plan:
                from nbray.notebook.plan import plan_text

                print(plan_text(ready), end="")  # noqa: T201
                return
            if asked.cache:
                from nbray.notebook import cached_cells

                cached_cells.run(self.shell, ready, options)
                return
            running = cells.submit(ready, options)
            if asked.bg:
                self.background.follow(running)
                print(cells.background_text(running))  # noqa: T201
            else:
                sys.stderr.write(cells.take_over(self.shell, ready, running.outcome()))

    @property
    def background(self) -> Background:
        """The cells that run with `--bg`."""
        if self._background is None:
            from nbray.notebook.background import Background

            self._background = Background(self.shell, self._page)
            self.shell.events.register("pre_run_cell", self._background.pre_run_cell)
        return self._background

    def close(self) -> None:
        """Leave the shell as it was."""
        if self._background is not None:
            self.shell.events.unregister("pre_run_cell", self._background.pre_run_cell)
        for kind, name in (("cell", "remote"), ("line", "nbray")):
            self.shell.magics_manager.magics[kind].pop(name, None)

    # ---------------------------------------------------------------- %nbray

    @magic_arguments()
    @argument(
        "action", nargs="?", default="status", help="what to do (status)",
        metavar="status|start|stop|scale|cancel|retry|memory|cache|stack|debug|tune|doctor",
    )
    @argument(
        "cell", nargs="?", metavar="CELL|N|NAME",
        help="cancel, retry: the number of the cell, 4 for [4]; scale: how many workers; tune: an experiment, or stop, pause, "
        "resume; cache: clear; debug: the name of the failed task, its id, or 4 for cell [4] (the latest failure)",
    )
    @argument(
        "more", nargs="*", metavar="TRIAL",
        help="tune: what shall be stopped, paused or resumed, 3 for trial 3; cache clear: the name whose results go",
    )
    @argument("--all", action="store_true", help="cancel: all work of this notebook")
    @argument("-n", "--workers", type=int, metavar="N", help="start: how many workers (as many as CPUs)")
    @argument("--memory", metavar="SIZE", help="start: size of the object store, for example 4GB")
    @line_magic
    def nbray(self, line: str) -> Any:
        """The cluster of this notebook: show it, start it, stop it, scale it to so many workers, cancel work on it; run
        the failed items of a %%parallel cell again (retry); what fills its store and which names keep it there (memory), the
        results that cache=True and --cache keep on disk (cache), what every worker is doing (stack); pdb in the frames
        of a failed task (debug); the card of an experiment that goes on, also after the kernel was restarted, and what
        shall become of its trials (tune): run = %nbray tune; whether this machine, this kernel and what is installed
        suit nbray, and what to do where they do not (doctor).

        A cluster starts by itself at the first use; `start` is for other settings.
        """
        asked = parse(self.nbray, line)
        actions = {
            "status": self._status, "start": self._start, "stop": self._stop, "scale": self._scale, "cancel": self._cancel,
            "retry": self._retry, "memory": self._memory, "cache": self._cache, "stack": self._stack, "debug": self._debug,
            "tune": self._tune, "doctor": self._doctor,
        }  # fmt: skip
        action = actions.get(asked.action)
        if action is None:
            raise UsageError(f"%nbray {asked.action}: {nearest(asked.action, actions)}")
        _refuse_strangers(asked)
        with failing_cleanly(self.shell):
            return action(asked)

    def _status(self, asked: Any) -> None:
        from nbray.notebook.status import Status

        if session.is_initialized():
            backend = session.current_backend()
            display(Status(backend.name, backend.snapshot()))
        else:
            print("nbray: no cluster runs. It starts with the first %%remote cell or task, or by %nbray start.")  # noqa: T201

    def _memory(self, asked: Any) -> None:
        from nbray.memory_report import memory

        if self._is_running():
            display(memory())

    def _cache(self, asked: Any) -> Any:
        from nbray.notebook import kept_results

        return kept_results.cache([word for word in (asked.cell, *asked.more) if word])

    def _stack(self, asked: Any) -> None:
        from nbray.worker_stacks import stack

        if self._is_running():
            display(stack())

    def _debug(self, asked: Any) -> None:
        from nbray.notebook import post_mortem

        if self._is_running():
            wanted = " ".join(word for word in (asked.cell, *asked.more) if word)
            post_mortem.debug_task(self.shell, wanted, session.current_backend().failed_frames())

    def _tune(self, asked: Any) -> Any:
        from nbray.notebook import experiments

        return experiments.tune([word for word in (asked.cell, *asked.more) if word])

    def _retry(self, asked: Any) -> Any:
        from nbray.notebook import parallel_cells

        return parallel_cells.retry(self.shell, asked.cell)

    def _doctor(self, asked: Any) -> None:
        from nbray.notebook.doctor import doctor

        display(doctor(self.shell))

    def _is_running(self) -> bool:
        if not session.is_initialized():
            print("nbray: no cluster runs, so there is nothing to show.")  # noqa: T201
        return session.is_initialized()

    def _start(self, asked: Any) -> None:
        display(session.init(num_workers=asked.workers, memory=asked.memory))

    def _stop(self, asked: Any) -> None:
        was_there = session.is_initialized()
        session.shutdown()
        print("nbray: the cluster has ended, with its tasks and objects." if was_there else "nbray: no cluster runs.")  # noqa: T201

    def _scale(self, asked: Any) -> None:
        from nbray.scaling import scale

        if not (asked.cell or "").isdigit():
            raise UsageError(f"%nbray scale {asked.cell or ''}: expected how many workers there shall be, as %nbray scale 4")
        scale(int(asked.cell))
        self._status(asked)

    def _cancel(self, asked: Any) -> None:
        if bool(asked.cell) == asked.all:
            raise UsageError("%nbray cancel: name one cell, as %nbray cancel 4 for [4], or all: %nbray cancel --all")
        run = cell_runs.by_label(asked.cell) if asked.cell else None
        if asked.cell and run is None:
            raise UsageError(f"%nbray cancel {asked.cell}: no cell [{asked.cell}] has run since nbray was loaded")
        if not session.is_initialized():
            print("nbray: no cluster runs, so there is nothing to cancel.")  # noqa: T201
            return
        report = session.current_backend().cancel_cell_runs(None if run is None else [run.id])
        counts = {"cancelled {}": report.cancelled, "{} being stopped": report.stopping, "{} had ended before": report.finished}
        parts = [text.format(count) for text, count in counts.items() if count]
        print(f"nbray: {', '.join(parts) or 'nothing to cancel'}.")  # noqa: T201


def _refuse_cache_with(asked: Any) -> None:
    other = "--on" if asked.on is not None else "--bg" if asked.bg else ""
    if asked.cache and other:
        raise UsageError(f"%%remote --cache {other}: a cell is kept that takes its names from the notebook, and is waited for")


def _refuse_strangers(asked: Any) -> None:
    """Options belong to one action each."""
    cell = asked.action if asked.action in ("cancel", "scale", "retry", "debug", "cache", "tune") else "cancel"
    more = asked.action if asked.action in ("debug", "cache", "tune") else "tune"
    owners = {"cell": cell, "more": more, "all": "cancel", "workers": "start", "memory": "start"}
    for name, owner in owners.items():
        if asked.action != owner and getattr(asked, name) not in (None, False, []):
            shown = {"cell": asked.cell, "more": " ".join(asked.more)}.get(name, f"--{name}")
            raise UsageError(f"%nbray {asked.action} takes no {shown}; it belongs to %nbray {owner}")


@contextmanager
def failing_cleanly(shell: Any) -> Iterator[None]:
    """Let an error reach the user as what it is about, without the frames of nbray."""
    try:
        yield
    except UsageError as error:
        if error.__cause__ is None:
            raise
        from nbray import dual_errors

        raise dual_errors.original(error) from None  # a magic in the cell: IPython shows what it says, and no frames
    except BaseException as error:  # noqa: BLE001 - each is raised again, KeyboardInterrupt too
        from nbray.notebook import failures

        raise failures.presentable(shell, error) from error.__cause__


def parse(magic: Callable[..., Any], line: str) -> Any:
    """The arguments of a magic's line; an option that does not exist is refused with the nearest that does."""
    try:
        return parse_argstring(magic, line)
    except UsageError as error:
        problem, found, unknown = str(error).partition("unrecognized arguments: ")
        if not found:
            raise
        known = [option for action in magic.parser._actions for option in action.option_strings]  # type: ignore[attr-defined]
        raise UsageError(f"{problem}there is no {unknown}: {nearest(unknown.split()[0].partition('=')[0], known)}") from None


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at what was meant.

    >>> nearest("--tiemout", ["--timeout", "--bg"]), nearest("x", ["--timeout", "--bg"])
    ('did you mean --timeout?', 'there are --timeout, --bg')
    """
    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
