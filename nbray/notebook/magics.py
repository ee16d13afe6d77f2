"""The magics `%%remote` and `%nbray`: what their lines say, and what is done then."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, kwds, magic_arguments

from nbray import call_options
from nbray.notebook import actions, option_pairs
from nbray.notebook.command_lines import parse
from nbray.notebook.display import Display

if TYPE_CHECKING:
    from nbray.notebook.background import Background


ALL_HELP = (
    "cancel, history, status, attach: all work of this notebook; the cells of all your notebooks; also what others do there"
)


@magics_class
class NbrayMagics(Magics):
    """`%%remote` and `%nbray`; what they need is imported when they are first used."""

    shell: Any

    def __init__(self, shell: Any, page: Display) -> None:
        super().__init__(shell)
        self._page = page
        self._background: Background | None = None

    # ---------------------------------------------------------------- %%remote

    @magic_arguments("%remote")
    @argument("-i", "--inputs", nargs="+", action="extend", metavar="NAME", help="take these names along, not those found")
    @argument("-o", "--outputs", nargs="+", action="extend", metavar="NAME", help="bring these names back, not all assigned")
    @argument("--on", metavar="NAME", help="run it in the namespace NAME, in a worker of its own: what it assigns stays there")
    @argument("-n", "--ranks", type=int, metavar="N", help="run it N times at once, each in a worker of its own; rank and world")
    @argument("--all", action="store_true", help="the same on all workers: as many ranks as fit into the cluster")
    @argument("--each", nargs="*", metavar="NAME", help="run it at once in each of these namespaces, or in all; rank and world")
    @argument("--bg", action="store_true", help="return at once: output keeps coming to this cell, names when it has ended")
    @argument("--plan", action="store_true", help="print what would be shipped, with sizes, and run nothing")
    @argument("--plot", nargs="*", metavar="NAMES", help="draw these numbers of what it yields as they come; all without names")
    @argument("--x", metavar="NAME", help="what --plot draws them against, unless it is the number of the item")
    @argument("--cache", action="store_true", help="keep what comes of it on disk: not run again with the same code and inputs")
    @argument("--cpus", type=float, metavar="N", help="CPUs to reserve while the cell runs (1)")
    @argument("--gpus", type=float, metavar="N", help="GPUs to reserve while the cell runs")
    @argument("--memory", metavar="SIZE", help="memory to reserve while the cell runs, for example 2GB")
    @argument("--env", nargs="+", action="extend", metavar="NAME=VALUE", help="environment variables of its worker")
    @argument("--timeout", type=float, metavar="SECONDS", help="end the cell when it runs for longer")
    @argument("--retries", type=int, metavar="N", help="run it again so often when its worker died")
    @argument("--name", help="how the task is called in cards and errors")
    @cell_magic
    def remote(self, line: str, cell: str) -> None:
        """Run this cell on a worker of the cluster, as if it ran here.

        The names that it uses go along as COPIES: what it changes in place (x.append(1), x[0] = 1) changes there and not
        here. Arrays arrive read-only (x = x.copy() to change one), modules are imported there by name. The names that it
        assigns (x = ...) come back when it has ended well, large ones as handles that are fetched when they are used; a
        cell that fails brings nothing back. What it prints and displays appears here while it runs; breakpoint() opens pdb
        and input() asks below the cell. Stop cancels it.

        With --on NAME the names that it assigns or changes stay in the namespace NAME, where the next cells find them; only
        those after -o come back. Other names come from the notebook, each time anew. --cpus, --gpus, --memory and --env are
        the namespace's as long as it lives. `%remote who` lists what is there, `%remote fetch x --on NAME` brings x.

        With -n 4, --all or --each it runs as several ranks at the same time, which find their number as rank and how many they
        are as world. None begins before there is room for all, and more than fit are refused. Each line says whose it is; once
        all have ended, each rank has a tab. Nothing comes back but the names after -o: lists by rank. All run to their end,
        also when some fail: then the first error is raised. -n and --all run it in workers that remember nothing; --each a b
        runs it in the namespaces a and b (made where they are missing), --each 'gpu*' in those that live, --each in all, and
        what it assigns stays there.

        A cell may yield, in a loop or by a last expression that is a generator: with --plot loss,acc these numbers are drawn
        while they come, of items that are dicts, tuples (by position) or plain numbers. All items come back as a list: _ and
        Out. What cannot be drawn is said beside the chart, and never ends the cell.

        With --cache the names that come back and what the cell printed and displayed are kept on disk. The same code with the
        same inputs is not run again, also in another kernel: what was kept is shown and assigned, and it says so. Tracked are
        the names that it takes along, with all that functions and classes among them use, local modules, and versions of
        packages; not files, time, environment variables, randomness, the network and child processes' output.

        Examples:
          %%remote                                     names are found, what the cell assigns comes back
          %%remote --plan                              first see what would go along, and how large it is
          %%remote -i data -o model                    only data goes along, only model comes back
          %%remote --bg --name training                the notebook goes on meanwhile; cards call it training
          %%remote --cpus 2 --gpus 1 --memory 4GB      reserve these while it runs
          %%remote --env OMP_NUM_THREADS=4 LEVEL=3     in a worker that was started with these variables
          %%remote --timeout 60 --retries 2            a minute at most; twice more if its worker dies
          %%remote --on gpu0                           in the namespace gpu0: what it assigns stays there
          %%remote -n 4 -o loss                        four ranks at once; loss becomes a list by rank
          %%remote --all                               as many ranks as fit: on every worker at once
          %%remote --each a b                          once in each of these namespaces, at the same time
          %%remote --plot loss,acc                     draw these numbers of what the cell yields
          %%remote --plot loss --x epoch               the same, against the epochs that are in it
          %%remote --cache                             run once; later, what came of it is taken from the disk
        """
        from nbray.notebook import cell_environment, cells, given_items

        asked = parse(self.remote, line)
        with failing_cleanly(self.shell):
            option_pairs.refuse(asked)
            if asked.ranks is not None or asked.all or asked.each is not None:
                from nbray.notebook import rank_cells

                rank_cells.run(self.shell, line, cell, asked)
                return
            if asked.on is not None:
                from nbray.notebook import namespace_cells

                namespace_cells.run(self.shell, line, cell, asked, lambda: self.background)
                return
            options = call_options.build(
                {
                    "num_cpus": asked.cpus, "num_gpus": asked.gpus, "memory": asked.memory, "timeout": asked.timeout,
                    "max_retries": asked.retries, "name": (asked.name or "").strip("\"'") or cells.task_name(),
                    **cell_environment.options_of(asked.env),
                }
            )  # fmt: skip
            given = cells.CellOptions(asked.inputs, asked.outputs, plot=given_items.order_of(asked))
            ready = cells.read_cell(self.shell, line, cell, given)
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
    @kwds(description=actions.help_text())
    @argument("action", nargs="?", default="status", help="one of those above (status)", metavar="ACTION")
    @argument("words", nargs="*", metavar="WORD", help="what the action takes")
    @argument("--all", action="store_true", help=ALL_HELP)
    @argument("-n", "--workers", type=int, metavar="N", help="start: how many workers (as many as CPUs)")
    @argument("--memory", metavar="SIZE", help="start: size of the object store, for example 4GB")
    @line_magic
    def nbray(self, line: str) -> Any:
        """The cluster of this notebook: show it, start it, stop it, and so on through the table of actions."""
        asked = vars(parse(self.nbray, line))
        action = actions.find(asked.pop("action"))
        words = tuple(asked.pop("words"))
        actions.refuse_strangers(action, words, asked)
        with failing_cleanly(self.shell):
            return action.run(actions.ActionCall(self.shell, self._page, lambda: self.background, words, asked))


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
