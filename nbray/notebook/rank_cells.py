"""What `%%remote -n`, `--all` and `--each` do with a cell: several ranks of it at once, in a gang or in namespaces."""

from __future__ import annotations

import fnmatch
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nbray import call_options, session
from nbray.backends.backend import Backend
from nbray.errors import UsageError
from nbray.notebook import cell_environment, cell_runs, cells, namespace_cells, namespace_stops, namespaces
from nbray.notebook.cell_history import HISTORY
from nbray.notebook.cells import CellOptions, RemoteCell
from nbray.notebook.namespace import RESULTS
from nbray.notebook.rank_cell import run_rank
from nbray.notebook.rank_runs import Member, RankRun
from nbray.notebook.ranks import NAMES, Rank
from nbray.objects import ObjectRef
from nbray.placement_groups import (
    PlacementGroup,
    PlacementGroupSchedulingStrategy,
    placement_group,
    remove_placement_group,
)
from nbray.resources import from_units
from nbray.wording import count_text, size_text

SILENT_SECONDS = 1.0
"""After so long it is said what ranks wait for."""

STOP_SECONDS = 1.0
"""Stop ends workers without names within this time: SIGINT first, then they are killed."""

MANY = "-n, --all and --each"
_AMOUNTS = {"cpus": "num_cpus", "gpus": "num_gpus", "memory": "memory"}


def run(shell: Any, line: str, cell: str, asked: Any) -> None:
    """Run a cell as several ranks; `asked` is the parsed line of `%%remote`.

    Raises what the first failed rank raised, once all have ended; the lists of `-o` are in the notebook by then.
    """
    if asked.each is not None:
        _run_each(shell, line, cell, asked)
    else:
        _run_gang(shell, line, cell, asked)


# -------------------------------------------------------------------- -n and --all: a gang of workers


def _run_gang(shell: Any, line: str, cell: str, asked: Any) -> None:
    given = CellOptions(asked.inputs, asked.outputs, kept=frozenset(NAMES), many=MANY)
    ready = cells.read_cell(shell, line, cell, given)
    names = ready.names._replace(changed=(*ready.names.changed, *NAMES))  # these may be asked for, too
    ready = ready._replace(wanted=cells.wanted_names(names, ready.inputs, asked.outputs or ()), required=True)
    amounts = {option: getattr(asked, name) for name, option in _AMOUNTS.items() if getattr(asked, name) is not None}
    amounts |= cell_environment.options_of(asked.env)
    backend = cells.cluster_for_cells()
    needs = call_options.build(amounts).resources
    world = _world(asked.ranks, needs, backend.snapshot().resources)
    if asked.plan:
        _plan(ready, f"{count_text(world, 'rank')}, each in a worker of its own, with rank and world")
        return
    gang = placement_group([from_units(needs)] * world)
    try:
        members = _submit(backend, ready, world, gang, amounts, asked)
        ids = [member.ref.id for member in members]
        ranks = RankRun(backend, members, ready.wanted, cell_runs.current())
        _say_what_it_waits_for(gang, backend, needs, world)
        _finish(shell, ranks, lambda: backend.wait(ids, len(ids), STOP_SECONDS))
    finally:
        remove_placement_group(gang)  # by now all have ended; the frames of an error would keep it for a long time


def _say_what_it_waits_for(gang: PlacementGroup, backend: Backend, needs: Mapping[str, int], world: int) -> None:
    """Where there is not room for all at once, which is no error: others may end."""
    if not gang.wait(SILENT_SECONDS):
        free = backend.snapshot().available
        lacks = [name for name, units in needs.items() if free.get(name, 0) < units * world] or list(needs)
        has = ", ".join(f"{name}: {_amount(name, {name: needs[name] * world})}, free {_amount(name, free)}" for name in lacks)
        sys.stderr.write(f"nbray: waiting until there is room for {count_text(world, 'rank')} at the same time ({has})\n")


def _world(asked: int | None, needs: Mapping[str, int], there: Mapping[str, int]) -> int:
    """How many ranks; raises UsageError where so many could never run at once."""
    if asked is not None and asked < 1:
        raise UsageError(f"-n {asked}: expected how many ranks shall run at once, 1 or more")
    if not needs:
        raise UsageError("--cpus 0: a rank holds its worker while it runs: ask for some of a CPU, as --cpus 0.5")
    most = min(there.get(name, 0) // units for name, units in needs.items())
    if asked is None and most:
        return most
    if asked is None or asked > most:
        said = "--all" if asked is None else f"-n {asked}"
        room = f"has room for {count_text(most, 'rank')}: -n {most}, or --all" if most else "has no room for a single one"
        scarce = [name for name, units in needs.items() if there.get(name, 0) // units == most]
        has = ", ".join(f"{name}: {_amount(name, needs)} a rank, {_amount(name, there)} in the cluster" for name in scarce)
        raise UsageError(f"{said}: all ranks run at the same time, and the cluster {room} ({has})")
    return asked


def _amount(name: str, amounts: Mapping[str, int]) -> str:
    amount = from_units({name: amounts.get(name, 0)}).get(name, 0)
    return size_text(int(amount)) if name == "memory" else f"{amount:g}"


def _submit(
    backend: Backend, ready: RemoteCell, world: int, gang: PlacementGroup, amounts: Mapping[str, Any], asked: Any
) -> list[Member]:  # fmt: skip
    _, modules, submodules = ready.inputs
    shipment = cells.shipment_of(ready)
    HISTORY.note_inputs(cell_runs.current(), ready.inputs.values, shipment.size, f"remote -n {world}")
    members: list[Member] = []
    try:
        for number in range(world):
            rank = Rank(number, world, f"{_name(asked)} {number}".strip())
            task = functools.partial(
                run_rank, rank, ready.code, shipment, modules, submodules, ready.wanted, ready.names.changed
            )  # fmt: skip
            options = call_options.build(
                {
                    **amounts, "timeout": asked.timeout, "max_retries": asked.retries, "name": rank.label,
                    "scheduling_strategy": PlacementGroupSchedulingStrategy(gang, number),
                }
            )  # fmt: skip
            [task_id] = backend.submit(task, (), {}, options, session.current_cell_run())
            ref = ObjectRef(task_id, backend.epoch, rank.label)
            members.append(Member(rank, ref, functools.partial(_value, backend, ref)))
    except BaseException:
        backend.cancel([member.ref.id for member in members])
        raise
    return members


def _value(backend: Backend, ref: ObjectRef) -> Mapping[str, Any]:
    values: Mapping[str, Any] = backend.get([ref.id])[0]
    return values


def _name(asked: Any) -> str:
    return (asked.name or "").strip("\"'") or "rank"


# -------------------------------------------------------------------- --each: persistent namespaces


def _run_each(shell: Any, line: str, cell: str, asked: Any) -> None:
    names = chosen(asked.each, namespaces.names())
    reserved = namespace_cells.reserved(asked)
    if asked.plan:
        kept = RESULTS.union(NAMES, *map(namespaces.known_names, names)).difference(asked.inputs or ())
        ready = cells.read_cell(shell, line, cell, CellOptions(asked.inputs, asked.outputs, kept=kept, many=MANY))
        _plan(ready, f"the namespaces {', '.join(names)}")
        return
    spaces = [namespaces.open_namespace(name, reserved) for name in names]
    anew = (*(asked.inputs or ()), *NAMES)
    members: list[Member] = []
    for number, space in enumerate(spaces):
        rank = Rank(number, len(spaces), space.name)
        own = frozenset(each.name for each in space.contents().names)
        given = CellOptions(asked.inputs, asked.outputs, kept=own.difference(asked.inputs or ()).union(NAMES, RESULTS), many=MANY)
        ready = _with_rank(cells.read_cell(shell, line, cell, given), rank)
        running = space.submit(ready, space.name, anew, rank)
        members.append(Member(rank, running.ref, functools.partial(_values_of, running)))
    sent = [(space, member.ref.id) for space, member in zip(spaces, members, strict=True)]
    ranks = RankRun(session.current_backend(), members, asked.outputs or (), cell_runs.current())
    _finish(shell, ranks, lambda: namespace_stops.end_stopped(sent))


def chosen(asked: Sequence[str], living: Sequence[str]) -> list[str]:
    """The namespaces that are meant, in the order of their ranks: all that live where none is named.

    >>> chosen(["gpu*", "new"], ["gpu0", "gpu1", "main"]), chosen([], ["a", "b"])
    (['gpu0', 'gpu1', 'new'], ['a', 'b'])
    """
    found: dict[str, None] = {}
    for word in [each.strip("\"'") for each in asked or ["*"]]:
        if any(sign in word for sign in "*?["):
            matching = fnmatch.filter(living, word)
            if not matching:
                there = f"there are {', '.join(living)}" if living else "there is none"
                raise UsageError(
                    f"--each{' ' + word if asked else ''}: no such namespace lives, {there}. Names without a * are made where "
                    "they are missing: --each a b"
                )
            found.update(dict.fromkeys(matching))
        else:
            namespaces.check_name(word)
            found[word] = None
    return list(found)


def _with_rank(ready: RemoteCell, rank: Rank) -> RemoteCell:
    """The cell takes the number of its rank along, as any other name."""
    inputs = ready.inputs
    return ready._replace(inputs=inputs._replace(values={**inputs.values, **rank.names}))


def _values_of(running: cells.RunningCell) -> Mapping[str, Any]:
    outcome = running.outcome()
    for name, reason in outcome.left_out.items():
        raise UsageError(f"-o {name}: {reason}")
    return outcome.values


# -------------------------------------------------------------------- both


def _plan(ready: RemoteCell, where: str) -> None:
    from nbray.notebook.plan import plan_text

    print(f"Ranks: {where}.\n{plan_text(ready)}", end="")  # noqa: T201


def _finish(shell: Any, ranks: RankRun, stopped: Callable[[], object]) -> None:
    run = cell_runs.current()
    try:
        ranks.finish(stopped)
    finally:
        if run is not None and _is_whole_cell(shell):
            run.arrange()
    shell.push(ranks.results)
    HISTORY.note_outputs(run, ranks.results)
    error = ranks.first_error
    if error is not None:
        sys.stderr.write(ranks.summary())
        raise error


def _is_whole_cell(shell: Any) -> bool:
    """Whether all that stands below the cell is output of its ranks: then it may be arranged anew."""
    if getattr(shell, "kernel", None) is None:
        return False
    request = shell.get_parent() or {}
    return str(request.get("content", {}).get("code", "")).lstrip().startswith("%%")
