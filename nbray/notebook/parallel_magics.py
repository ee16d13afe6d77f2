"""The magic `%%parallel`: what its line says, and what is done then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, cell_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments

from nbray import call_options
from nbray.notebook.command_lines import parse
from nbray.notebook.magics import failing_cleanly

if TYPE_CHECKING:
    from nbray.notebook.background import Background


@magics_class
class ParallelMagics(Magics):
    """`%%parallel`; what it needs is imported when it is first used."""

    shell: Any

    def __init__(self, shell: Any, background: Callable[[], Background]) -> None:
        """`background` gives what follows cells that run while the notebook goes on."""
        super().__init__(shell)
        self._background = background

    @magic_arguments("%parallel")
    @argument("-i", "--inputs", nargs="+", action="extend", metavar="NAME", help="take these names along, not those found")
    @argument(
        "-o", "--outputs", nargs="+", action="extend", metavar="NAME",
        help="make a list of each of these names, not of the last expression",
    )
    @argument("--bg", action="store_true", help="return at once: output keeps coming to this cell, the list when all have ended")
    @argument("--plan", action="store_true", help="print what would be shipped, with sizes, and run nothing")
    @argument("--cpus", type=float, metavar="N", help="CPUs to reserve while an item runs (1)")
    @argument("--gpus", type=float, metavar="N", help="GPUs to reserve while an item runs")
    @argument("--memory", metavar="SIZE", help="memory to reserve while an item runs, for example 2GB")
    @argument("--timeout", type=float, metavar="SECONDS", help="end an item that runs for longer")
    @argument("--retries", type=int, metavar="N", help="run an item again so often when its worker died")
    @cell_magic
    def parallel(self, line: str, cell: str) -> Any:
        """Run this cell once for each item of a loop, side by side on the cluster: %%parallel for path in paths

        The values of its last expression become one list, in the order of the items; with -o, each of the names becomes a
        list. Every item runs as a %%remote cell does: in a namespace of its own, with copies of the names that it uses. All
        items are run, also when some fail: then the first error is raised at the end, the list has the exceptions in their
        places (_, or the names of -o), and %nbray retry runs only those again that failed or were stopped, with the notebook's
        names as they are then. Stop cancels what has not ended; what has is kept. Options stand before or behind the loop.

        With --bg the notebook goes on meanwhile; when all have ended, Out has the list (the names after -o are assigned), and
        what failed is said below this cell.

        Examples:
          %%parallel for path in paths                             a list of what the last line gives for each path
          %%parallel for seed in range(10) -o model score          two lists, model and score
          %%parallel for n, name in enumerate(names) -i data       only data, n and name go along
          %%parallel for x in xs --plan                            first see how many items, what would go along
          %%parallel for x in xs --bg -o y                         the notebook goes on; y is assigned at the end
          %%parallel for x in xs --cpus 2 --gpus 1 --memory 4GB    reserve these for each item
          %%parallel for x in xs --timeout 60 --retries 2          a minute an item; twice more if its worker dies
        """
        with failing_cleanly(self.shell):
            from nbray.notebook import loops, parallel_cells
            from nbray.notebook.cells import CellOptions

            loop = loops.read_line(line)
            parallel_cells.refuse_namespace(loop.options)
            asked = parse(self.parallel, loop.options)
            options = call_options.build(
                {
                    "num_cpus": asked.cpus, "num_gpus": asked.gpus, "memory": asked.memory, "timeout": asked.timeout,
                    "max_retries": asked.retries,
                }
            )  # fmt: skip
            given = CellOptions(asked.inputs, asked.outputs)
            if asked.plan:
                parallel_cells.plan(self.shell, line, loop, cell, given)
                return None
            parallel = parallel_cells.read(self.shell, line, loop, cell, given, options)
            if asked.bg and parallel.size:
                self._background().follow(parallel_cells.start_behind(self.shell, parallel))
                return None
            return parallel_cells.run(self.shell, parallel)

    def close(self) -> None:
        """Leave the shell as it was."""
        self.shell.magics_manager.magics["cell"].pop("parallel", None)
