"""What `%nbray history` and `%nbray why` do: find the manifests that are meant, and show them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from msgspec import structs

from nbray.errors import UsageError
from nbray.notebook import history_file
from nbray.notebook.cell_history import HISTORY
from nbray.notebook.history_view import Details, History, Why
from nbray.notebook.manifest import LOST, RUNNING, Manifest
from nbray.wording import count_text

NOTHING = (
    "nbray: no cell of this notebook has had work on the cluster yet. Those with %%remote, %%parallel, nbray.map and so on are "
    "remembered."
)


def history(words: Sequence[str], *, of_all: bool = False) -> History | Details | None:
    """The cell runs of this notebook, the latest first, those of earlier kernels too; of one cell all that is known.

    "clear" forgets them. Raises UsageError.
    """
    if words[:1] == ("clear",) and len(words) == 1:
        _clear()
        return None
    if len(words) > 1 or (words and of_all):
        more = " ".join(words[1:]) if len(words) > 1 else "--all"
        raise UsageError(f"%nbray history {words[0]} takes no {more}: expected a cell, as %nbray history 4 for [4], or clear")
    found = _of_everybody() if of_all else _of_this_notebook()
    if not found:
        print(NOTHING)  # noqa: T201
        return None
    if not words:
        return History(found, _notes(found[-1].number), of_all=of_all)
    manifest = _one(found, words[0], "history")
    return Details(manifest, found[: found.index(manifest)])


def why(words: Sequence[str]) -> Why | None:
    """Where the time of a cell went, the latest unless its number is given. Raises UsageError."""
    found = _of_this_notebook()
    if not found:
        print(NOTHING)  # noqa: T201
        return None
    manifest = _one(found, words[0], "why") if words else found[-1]
    return Why(manifest, found[: found.index(manifest)])


def _of_this_notebook() -> list[Manifest]:
    """Oldest first; what goes on now stands in memory only."""
    now = {manifest.cell_run: manifest for manifest in HISTORY.manifests()}
    kept = HISTORY.file.manifests() if HISTORY.file is not None else []
    return _in_order([*(_without_kernel(each) for each in kept if each.cell_run not in now), *now.values()])


def _without_kernel(manifest: Manifest) -> Manifest:
    """One of an earlier kernel: if it had not ended then, that kernel knows no more of it."""
    return structs.replace(manifest, outcome=LOST) if manifest.outcome == RUNNING else manifest


def _of_everybody() -> list[Manifest]:
    now = {manifest.cell_run: manifest for manifest in HISTORY.manifests()}
    kept = [each for each in history_file.read_all(history_file.directory()) if each.cell_run not in now]
    return _in_order([*kept, *now.values()])


def _in_order(manifests: Sequence[Manifest]) -> list[Manifest]:
    """By when they began: one in the background is written down late."""
    return sorted(manifests, key=lambda manifest: manifest.began)


def _one(found: Sequence[Manifest], word: str, action: str) -> Manifest:
    """The latest run of the cell with that number."""
    wanted = word.strip("[]")
    for manifest in reversed(found):
        if str(manifest.number) == wanted:
            return manifest
    if action == "history" and difflib.get_close_matches(word, ["clear"]):
        raise UsageError(f"%nbray history {word}: expected a cell, as %nbray history {found[-1].number}; did you mean clear?")
    numbers = list(dict.fromkeys(each.number for each in reversed(found)))
    near = min(numbers, key=lambda number: abs(number - int(wanted))) if wanted.isdecimal() else numbers[0]
    raise UsageError(
        f"%nbray {action} {word}: no cell [{wanted}] with work on the cluster is remembered. The latest are "
        f"{', '.join(f'[{each}]' for each in numbers[:8])}: type for example %nbray {action} {near}"
    )


def _clear() -> None:
    count = len(_of_this_notebook())
    if HISTORY.file is not None:
        HISTORY.file.delete()
    HISTORY.forget()
    print(f"nbray: {count_text(count, 'cell run')} forgotten.")  # noqa: T201


def _notes(number: int) -> list[str]:
    problem = HISTORY.problem or (HISTORY.file.problem if HISTORY.file is not None else "")
    notes = [f"%nbray history {number} tells all of [{number}], %nbray why {number} where its time went."]
    return [*notes, f"Not kept beyond this kernel: {problem}"] if problem else notes
