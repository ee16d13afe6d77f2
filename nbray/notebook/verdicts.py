"""Why a cell run took as long as it did: one sentence, with what to type where something helps.

Pure: a table of rules over the manifest, of which the first that has something to say decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from nbray.notebook.manifest import FAILED, LOST, OK, RUNNING, STOPPED, Manifest, Piece
from nbray.wording import count_text, size_text, time_text

MOST = 0.4
"""A stage that takes this share of the time is what there is to talk about."""
BRIEF = 0.05
"""Seconds below which nothing can be gained."""
BLINK = 0.002
"""Seconds of a task below which sending it costs more than running it."""
WORTH_KEEPING = 1.0
"""Seconds of a run that should not have been repeated."""

Rule = Callable[[Manifest, Sequence[Manifest]], str]
"""What it says of a manifest, given earlier ones; "" for nothing."""


def verdict(manifest: Manifest, earlier: Sequence[Manifest] = ()) -> str:
    """One line: how it ended if not well, and what the time went into."""
    said = next(text for rule in RULES.values() if (text := rule(manifest, earlier)))
    return _ending(manifest) + said


def _ending(manifest: Manifest) -> str:
    total = time_text(manifest.stages.total)
    if manifest.outcome == FAILED:
        return f"It failed after {total} ({manifest.error}). "
    return f"You stopped it after {total}. " if manifest.outcome == STOPPED else ""


# -------------------------------------------------------------------- rules


def _kept_result(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    if manifest.cache != "kept result":
        return ""
    return f"Nothing was run: what an earlier run had made in {time_text(manifest.spared)} was kept on disk."


def _going_on(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    if manifest.outcome != RUNNING:
        return ""
    waits = f", and it waited for {manifest.waited_for}" if manifest.waited_for else ""
    return f"It has not ended: {time_text(manifest.stages.total)} so far{waits}."


def _lost(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    if manifest.outcome != LOST:
        return ""
    return "Its kernel was lost while it ran, so its times are not known. %nbray attach shows what is left of it."


def _start(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    if not _stands_out(manifest, manifest.stages.start):
        return ""
    return f"{_share(manifest, manifest.stages.start)} was starting the cluster, which runs now: the next cell does without."


def _tiny_tasks(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    tasks = manifest.tasks
    if tasks.count < 20 or tasks.run_seconds / tasks.count > BLINK or tasks.run_seconds > 0.5 * tasks.elapsed:
        return ""
    each = tasks.run_seconds / tasks.count * 1000
    return (
        f"{count_text(tasks.count, 'task')} of {each:.1f} ms each: to send so small a task costs more than to run it. "
        "Let each do more, or use nbray.map, which sends many items at a time."
    )


def _brief(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    total = manifest.stages.total
    return f"{time_text(total)} in all: too short for anything to be gained." if total < BRIEF else ""


def _ship(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    if not _stands_out(manifest, manifest.stages.ship):
        return ""
    if not manifest.worker and manifest.stored:
        return (
            f"{_share(manifest, manifest.stages.ship)} was writing arguments and captured values into the store "
            f"({size_text(manifest.stored)}): nbray.put what several tasks use once, and pass them the reference; "
            "later cells find it there."
        )
    largest = _largest(manifest.inputs)
    if largest is None:
        what = f"shipping its names ({size_text(manifest.shipped)})"
        return f"{_share(manifest, manifest.stages.ship)} was {what}. Name what it needs: %%remote -i a b."
    if manifest.shipped < 1_000_000:
        return f"{_share(manifest, manifest.stages.ship)} was making the worker ready for its first cell."
    what = f"shipping `{largest.name}` ({_size(largest)})"
    return f"{_share(manifest, manifest.stages.ship)} was {what}: {_ship_advice(largest)}"


def _ship_advice(largest: Piece) -> str:
    if largest.type_name in ("list", "dict", "set", "tuple", "frozenset"):
        return "it is packed and unpacked item by item. %%remote --on NAME keeps it in a namespace; an array travels faster."
    return (
        f"nbray.put it once (ref = nbray.put({largest.name})) and say nbray.get(ref) in cells, or make it on the cluster: what a "
        "%%remote cell assigns stays there."
    )


def _queue(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    if not _stands_out(manifest, manifest.stages.queue):
        return ""
    said = f"{_share(manifest, manifest.stages.queue)} was waiting"
    reason = manifest.waited_for
    if " --on " in manifest.how and not reason:
        name = manifest.how.split(" --on ")[1].split()[0]
        return f"{said} for the namespace {name}: for an earlier cell there, or, where it is new, for its worker to start."
    if not reason:
        return f"{said} for a worker. %nbray scale N gives the cluster more of them."
    if "held by" not in reason:
        return f"{said} for {reason}."
    return f"{said}: {reason}. %nbray scale N gives the cluster more workers; %nbray shows what runs, %nbray cancel stops it."


def _back(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    if not _stands_out(manifest, manifest.stages.back):
        return ""
    largest = _largest(manifest.outputs, also_on_cluster=True)
    what = "bringing back what it made" if largest is None else f"packing and bringing back `{largest.name}` ({_size(largest)})"
    return (
        f"{_share(manifest, manifest.stages.back)} was {what}: -o NAME brings only what you need, and with --on NAME all stays "
        "where it is."
    )


def _here(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    if not _stands_out(manifest, manifest.stages.here):
        return ""
    return f"{_share(manifest, manifest.stages.here)} was code that ran in the notebook itself, not on the cluster."


def _repeated(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    if manifest.how != "remote" or manifest.stages.run < WORTH_KEEPING or manifest.outcome != OK:
        return ""
    same = [each for each in earlier if each.outcome == OK and _same_work(each, manifest)]
    if not same:
        return ""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(same[-1].began))
    return (
        f"The same code with the same inputs ran before, in {same[-1].label} ({when}): with %%remote --cache this run would have "
        "taken no time."
    )


def _side_by_side(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    tasks, cores = manifest.tasks, manifest.cores
    if tasks.count < 2 or tasks.elapsed <= 0 or cores < 2 or manifest.worker:
        return ""
    busy = tasks.run_seconds / tasks.elapsed
    share = _share(manifest, manifest.stages.run)
    if tasks.count < cores and busy < 0.7 * cores:
        return f"{share} was {tasks.count} tasks, for {cores} cores: smaller ones, and more of them, would use them all."
    if busy < 0.6 * cores:
        return (
            f"{share} was its {count_text(tasks.count, 'task')}, which kept {busy:.1f} of {cores} cores busy: some "
            "waited, or one took much longer than the others. nbray.timeline(\"t.json\") shows which."
        )
    return f"{share} was its {count_text(tasks.count, 'task')}, which kept {min(busy, cores):.1f} of {cores} cores busy."


def _run(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    run, cores = manifest.stages.run, manifest.cores
    if not _stands_out(manifest, run):
        return ""
    said = f"{_share(manifest, run)} was its own code"
    if not manifest.worker or run < 0.2:  # too short for the clock that counts the CPU
        return f"{said}."
    used = manifest.cpu / run
    if used < 0.2:
        return f"{said}, which mostly waited (it used the CPU for {time_text(manifest.cpu)}): for files, the network, or a sleep."
    if used < 1.3 and cores > 1 and run > 1.0:
        return f"{said}, on one of {cores} cores: %%parallel for x in xs, or nbray.map(f, xs), uses all."
    return f"{said}, which kept {used:.1f} cores busy."


def _nothing(manifest: Manifest, earlier: Sequence[Manifest]) -> str:
    return f"No part of the {time_text(manifest.stages.total)} stands out."


RULES: dict[str, Rule] = {
    "kept result": _kept_result,
    "going on": _going_on,
    "kernel lost": _lost,
    "start": _start,
    "tiny tasks": _tiny_tasks,
    "brief": _brief,
    "ship": _ship,
    "queue": _queue,
    "back": _back,
    "here": _here,
    "repeated": _repeated,
    "side by side": _side_by_side,
    "run": _run,
    "nothing": _nothing,
}
"""In the order in which they are asked."""


# -------------------------------------------------------------------- what they share


def _stands_out(manifest: Manifest, seconds: float) -> bool:
    return seconds >= MOST * manifest.stages.total > 0


def _share(manifest: Manifest, seconds: float) -> str:
    return f"{100 * seconds / manifest.stages.total:.0f} % of the {time_text(manifest.stages.total)}"


def _largest(pieces: Sequence[Piece], *, also_on_cluster: bool = False) -> Piece | None:
    """The one that counts: the largest of those that travelled, or the only one."""
    there = [piece for piece in pieces if also_on_cluster or not piece.on_cluster]
    known = [piece for piece in there if piece.size]
    if known:
        return max(known, key=lambda piece: piece.size)
    return there[0] if len(there) == 1 else None


def _size(piece: Piece) -> str:
    return size_text(piece.size) if piece.size else piece.type_name


def _same_work(one: Manifest, other: Manifest) -> bool:
    """Whether both had the same code and inputs, as far as all of that is hashed."""
    if one.code != other.code or not other.code or one.modules != other.modules or one.packages != other.packages:
        return False
    if not all(piece.hash and not piece.hash.startswith("~") for piece in (*one.inputs, *other.inputs)):
        return False
    return {piece.name: piece.hash for piece in one.inputs} == {piece.name: piece.hash for piece in other.inputs}


def differences(manifest: Manifest, earlier: Manifest) -> list[str]:
    """In words what was different when the same code ran earlier: inputs, local modules, packages, Python."""
    found = []
    before = {piece.name: piece.hash for piece in earlier.inputs if piece.hash}
    hashed = [piece for piece in manifest.inputs if piece.hash]
    changed = [piece.name for piece in hashed if before.get(piece.name, piece.hash) != piece.hash]
    found += [f"other content of {name}" for name in changed]
    for what, now, then in (("module", manifest.modules, earlier.modules), ("", manifest.packages, earlier.packages)):
        found += [
            f"{what} {name} {_short(then[name], what)} -> {_short(version, what)}".lstrip()
            for name, version in now.items()
            if name in then and then[name] != version
        ]
    if manifest.python and earlier.python and manifest.python != earlier.python:
        found.append(f"Python {earlier.python} -> {manifest.python}")
    return found


def _short(version: str, what: str) -> str:
    return version[:8] if what == "module" and " " not in version else version
