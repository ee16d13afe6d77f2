"""The driver's side of `%%remote --cache`: the fingerprint of a cell, and a kept result taken over as if it had run."""

from __future__ import annotations

import ast
import functools
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nbray import plots
from nbray.backends.backend import Backend, CallOptions
from nbray.cached_calls import Order, about_reference, hit_text, order_of, surroundings
from nbray.fingerprints import Untracked, fingerprint
from nbray.module_versions import ModuleVersions
from nbray.notebook import cell_runs, cells, yields
from nbray.notebook.cell_history import HISTORY
from nbray.notebook.cell_recording import Piece, run_recorded
from nbray.notebook.cells import RemoteCell
from nbray.notebook.doubts import doubtful, meanings
from nbray.notebook.remote_cell import bring
from nbray.plot_points import STREAM as POINTS
from nbray.result_cache import ResultCache


def run(shell: Any, cell: RemoteCell, options: CallOptions) -> None:
    """Take over the kept result of a cell, with what it printed and displayed; else run it, and let its worker keep it."""
    backend = cells.cluster_for_cells()
    try:
        order = order_for(shell, backend, cell, options)
    except Untracked as untracked:
        sys.stderr.write(f"nbray: this cell runs without the cache: it uses {untracked}\n")
        running = cells.submit(cell, options)
    else:
        tree = ast.parse(shell.transform_cell(cell.code.source))
        doubts = ", ".join(doubtful(tree, meanings(cell.inputs.values, cell.inputs.modules)))
        if doubts:
            sys.stderr.write(f"nbray: this cell uses {doubts}, which the cache does not track: what it gives once, it keeps\n")
        kept = ResultCache(Path(order.directory)).find(order.key)
        if kept is not None:
            values, output = kept.value
            HISTORY.note_cache(cell_runs.current(), "kept result", kept.head.took)
            sys.stderr.write(f"{hit_text(kept.head)}\n")
            replay(shell, output)
            sys.stderr.write(cells.take_over(shell, cell, bring(values, tuple(values))))
            return
        running = cells.submit(cell, options, functools.partial(_recorded, order, options.name))
        HISTORY.note_cache(running.run, "to be kept")
    sys.stderr.write(cells.take_over(shell, cell, running.outcome()))


def _recorded(order: Order, name: str, task: functools.partial[Any]) -> functools.partial[Any]:
    """The task of a cell, which keeps what comes of it."""
    return functools.partial(run_recorded, order, name, *task.args)


def order_for(shell: Any, backend: Backend, cell: RemoteCell, options: CallOptions) -> Order:
    """What a cell's result is kept under. Raises Untracked."""
    if cell.names.uses_magics or "get_ipython" in cell.names.needed:
        raise Untracked("magics or the shell, and what those do is not tracked")
    modules = ModuleVersions()
    about = functools.partial(about_reference, backend, modules)
    transformed = shell.transform_cell(cell.code.source)
    code = yields.compiled(transformed, "<cell>", shell.compile.flags | yields.MODULE_SCOPE).code
    # The tree counts beside the code, which is without a last expression that is a constant, and yet it is displayed.
    quiet = bool(shell.displayhook.semicolon_at_end_of_expression(cell.code.source))
    shown = (ast.dump(ast.parse(transformed)), quiet, cell.code.plot)
    values, names, submodules = cell.inputs
    imported = [(name, sys.modules.get(module)) for name, module in sorted(names.items())]
    loaded = [sys.modules.get(name) for name in submodules]
    inputs = (dict(sorted(values.items())), imported, loaded, cell.wanted, cell.required, surroundings(options))
    of_code = fingerprint((code, shown), modules.about, about)
    of_inputs = fingerprint(inputs, modules.about, about)
    return order_of(of_code, of_inputs._replace(names=(*of_inputs.names, *values)), modules)


def replay(shell: Any, output: Iterable[Piece]) -> None:
    """Show again what a cell printed and displayed."""
    for stream, data in output:
        if stream in ("stdout", "stderr"):
            getattr(sys, stream).write(data.decode("utf-8", "replace"))
            continue
        if stream == POINTS:
            plots.show_again(data)
            continue
        content = json.loads(data)
        if stream == "clear_output":
            shell.display_pub.clear_output(**content)
        else:
            is_update = stream == "update_display_data"
            shell.display_pub.publish(content["data"], content["metadata"], transient=content["transient"], update=is_update)


