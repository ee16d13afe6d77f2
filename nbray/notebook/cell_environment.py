"""The environment variables of a remote cell: what `%%remote --env A=1 B=2` says, as options of its task."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from nbray.errors import UsageError

_PAIR = re.compile(r"([^\W\d]\w*)=(.*)", re.DOTALL)


def options_of(pairs: Sequence[str] | None) -> dict[str, Any]:
    """The options of a call for these variables; none where there are none. Raises UsageError for what is no NAME=VALUE.

    >>> options_of(["OMP_NUM_THREADS=4", "NAME='a b'"])
    {'runtime_env': {'env_vars': {'OMP_NUM_THREADS': '4', 'NAME': 'a b'}}}
    """
    return {"runtime_env": {"env_vars": dict(map(_pair, _words(pairs)))}} if pairs else {}


def _words(pairs: Sequence[str]) -> list[str]:
    """The pairs without quotes, which the line keeps, and at whose spaces it was cut: B='x y'."""
    text = " ".join(pairs)
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        raise UsageError(f"--env {text}: a quote is not closed; expected NAME=VALUE, as --env NAME='two words'") from None


def _pair(text: str) -> tuple[str, str]:
    found = _PAIR.fullmatch(text)
    if found is None:
        name = re.sub(r"\W+", "_", text.partition("=")[0])
        example = name if name.isidentifier() and name.strip("_") else "OMP_NUM_THREADS"
        raise UsageError(f"--env {text}: expected NAME=VALUE without spaces around the =, for example --env {example}=4")
    return found[1], found[2]
