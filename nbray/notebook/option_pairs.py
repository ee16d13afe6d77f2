"""Which options of `%%remote` cannot stand together, and why."""

from __future__ import annotations

from typing import Any

from nbray.errors import UsageError

PAIRS: dict[tuple[str, str], str] = {
    ("timeout", "on"): "a cell in a namespace has no time limit: Stop ends it, and the names stay",
    ("retries", "on"): "a namespace whose worker died has lost its names, so that its cells cannot be run again",
    ("cache", "on"): "a cell is kept that takes all its names from the notebook: take --on or --cache off",
    ("timeout", "each"): "a cell in a namespace has no time limit: Stop ends it, and the names stay",
    ("retries", "each"): "a namespace whose worker died has lost its names, so that its cells cannot be run again",
    ("ranks", "all"): "-n says how many, --all as many as fit: take one of them",
    ("ranks", "each"): "there is one rank for each namespace: name them, as --each a b",
    ("all", "each"): "--all is for workers that remember nothing, --each for namespaces: take one of them",
    ("ranks", "on"): "several ranks need several namespaces: name them, as --each a b",
    ("all", "on"): "several ranks need several namespaces: name them, as --each a b",
    ("each", "on"): "both name namespaces: put them all behind --each",
    ("ranks", "bg"): "ranks are waited for: what they print is arranged once all have ended",
    ("all", "bg"): "ranks are waited for: what they print is arranged once all have ended",
    ("each", "bg"): "ranks are waited for: what they print is arranged once all have ended",
    ("ranks", "cache"): "what is kept is one run of a cell, not several ranks",
    ("all", "cache"): "what is kept is one run of a cell, not several ranks",
    ("each", "cache"): "a cell is kept that takes all its names from the notebook, and namespaces have their own",
    ("plot", "ranks"): "a chart shows one run of a cell; nbray.plot([f.remote(x) for x in xs], 'loss') draws several generators",
    ("plot", "all"): "a chart shows one run of a cell; nbray.plot([f.remote(x) for x in xs], 'loss') draws several generators",
    ("plot", "each"): "a chart shows one run of a cell; nbray.plot([f.remote(x) for x in xs], 'loss') draws several generators",
    ("cache", "bg"): "a cell is kept that is waited for: take --bg or --cache off",
}
"""By the long names of the two, the one that has to go first."""


def refuse(asked: Any) -> None:
    """Raise UsageError for the first pair that makes no sense; `asked` is the parsed line of `%%remote`."""
    for (first, second), why in PAIRS.items():
        if is_given(asked, first) and is_given(asked, second):
            raise UsageError(f"--{first} with --{second}: {why}")


def is_given(asked: Any, option: str) -> bool:
    """Does the line say anything for this option?"""
    return getattr(asked, option) not in (None, False)
