"""The magics `%%remote` and `%nbray`: what their lines say, and what is done then."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring

from nbray import call_options, session
from nbray.backends.backend import CallOptions
from nbray.errors import NbrayError
from nbray.notebook import cell_runs


@magics_class
class NbrayMagics(Magics):
    """`%%remote` and `%nbray`."""

    def __init__(self, shell: Any, background: Any) -> None:
        super().__init__(shell)
        self._background = background

    @magic_arguments()
    @argument("-i", "--inputs", nargs="+", action="extend", metavar="NAME", help="take these names along, not those found")
    @argument("-o", "--outputs", nargs="+", action="extend", metavar="NAME", help="bring these names back, not all assigned")
    @argument("--bg", action="store_true", help="return at once; output keeps coming to this cell, names when it has ended")
    @argument("--plan", action="store_true", help="print what would be shipped, with sizes, and run nothing")
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
        here. The names that it assigns (x = ...) come back when it has ended well, large ones as handles that are fetched
        when they are used; a cell that fails brings nothing back. Modules are imported there by name. What it prints and
        displays appears here while it runs. Stop cancels it.
        """
        arguments = parse(self.remote, line)
        options = call_options.build(
            {
                "num_cpus": arguments.cpus, "num_gpus": arguments.gpus, "memory": arguments.memory,
                "timeout": arguments.timeout, "max_retries": arguments.retries, "name": arguments.name or self._name(),
            }
        )  # fmt: skip
        self._run(line, cell, arguments, options)

    def _name(self) -> str:
        run = cell_runs.current()
        return f"cell {run.label}" if run is not None else "cell"

    def _run(self, line: str, cell: str, arguments: Any, options: CallOptions) -> None:
        from nbray.notebook import cells, failures

        names = [None if given is None else tuple(given) for given in (arguments.inputs, arguments.outputs)]
        ready = cells.read_cell(self.shell, line, cell, cells.CellOptions(*names))
        try:
            running = cells.submit(ready, options)
            sys.stderr.write(cells.take_over(self.shell, ready, running.outcome()))
        except BaseException as error:
            failures.dress(error)
            raise


def parse(magic: Callable[..., Any], line: str) -> Any:
    """The arguments of a magic's line; an option that does not exist is refused with the nearest that does."""
    try:
        return parse_argstring(magic, line)
    except UsageError as error:
        raise UsageError(_with_hint(str(error), magic)) from None


def _with_hint(message: str, magic: Any) -> str:
    problem, found, unknown = message.partition("unrecognized arguments: ")
    if not found:
        return message
    known = [option for action in magic.parser._actions for option in action.option_strings]
    near = difflib.get_close_matches(unknown.split()[0].partition("=")[0], known, 1)
    return f"{problem}there is no option {unknown}: " + (f"did you mean {near[0]}?" if near else f"there are {' '.join(known)}")
