"""What `%nbray cache` shows and does: the results that are kept on disk."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nbray.errors import UsageError
from nbray.result_cache import ResultCache, default_directory
from nbray.tables import Rows
from nbray.wording import count_text, size_text, time_text

NOT_TRACKED = "Not tracked: files, time, environment variables, randomness, the network, state kept between calls."


def cache(words: Sequence[str]) -> Rows | None:
    """The kept results, the most recently used first; "clear" deletes them, or those of the name that follows.

    Raises UsageError.
    """
    results = ResultCache(default_directory())
    if words and words[0] == "clear":
        name = " ".join(words[1:])
        count = results.clear(name)
        if name and not count:
            names = ", ".join(sorted({head.name for head in results.heads()}))
            raise UsageError(f"%nbray cache clear {name}: no result of that name is kept; kept are those of {names or 'nothing'}")
        print(f"nbray: {count_text(count, 'kept result')} deleted.")  # noqa: T201
        return None
    if words:
        raise UsageError(f"%nbray cache {' '.join(words)}: expected nothing more, or clear, or clear and a name")
    return _table(results)


def _table(results: ResultCache) -> Rows | None:
    heads = results.heads()
    if not heads:
        print(  # noqa: T201
            "nbray: no result is kept. Functions with @nbray.remote(cache=True) and cells with %%remote --cache keep theirs."
        )
        return None
    print(  # noqa: T201
        f"nbray: {count_text(len(heads), 'kept result')}, {size_text(results.size())} of at most {size_text(results.limit)} in "
        f"{results.directory}. %nbray cache clear deletes them. {NOT_TRACKED}"
    )
    rows = [
        (
            head.name, size_text(head.size), time_text(head.took),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(head.made)), head.names, [_short(fact) for fact in head.modules],
        )
        for head in heads
    ]  # fmt: skip
    return Rows(["name", "size", "took", "made", "names tracked", "modules tracked"], rows)


def _short(fact: str) -> str:
    """A module and its version; for a local one its file and the beginning of its hash.

    >>> _short("numpy 2.1.0 1795434076669658907"), _short("rates rates.py 0123456789abcdef")
    ('numpy 2.1.0', 'rates.py 01234567')
    """
    name, version, rest = (*fact.split(" "), "", "")[:3]
    return f"{version} {rest[:8]}" if version.endswith(".py") else f"{name} {version}"
