"""Tab on the lines of magics: actions and options, as their tables have them."""

from __future__ import annotations

import argparse
import re
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from nbray.notebook.magics import NbrayMagics
from nbray.notebook.parallel_magics import ParallelMagics
from nbray.notebook.remote_magics import RemoteMagics

_LINE = re.compile(r"\s*(?:\w+\s*=\s*)?(%%?\w+)\s+(.*)$")  # also run = %nbray tune
_MAGICS: dict[str, Any] = {
    "%%remote": NbrayMagics.remote, "%%parallel": ParallelMagics.parallel, "%remote": RemoteMagics.remote,
    "%nbray": NbrayMagics.nbray,
}  # fmt: skip


class LineCompletion:
    """What a shell completes behind a magic of nbray."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

        def match(context: CompletionContext) -> SimpleMatcherResult:
            line = context.text_until_cursor.rpartition("\n")[2]
            found = offered(line) if line.endswith(context.token) else []
            return {"completions": [SimpleCompletion(text=text, type="keyword") for text in found], "suppress": bool(found)}

        self._matcher = context_matcher(identifier="nbray.lines")(match)
        shell.Completer.custom_matchers.append(self._matcher)

    def close(self) -> None:
        """Leave the shell as it was."""
        self._shell.Completer.custom_matchers.remove(self._matcher)


def offered(line: str) -> list[str]:
    """The actions or options that may stand where the cursor is, at the end of this line.

    >>> offered("%nbray st"), offered("%%remote -o x --ti"), offered("x = 1")
    (['status', 'start', 'stop', 'stack'], ['--timeout'], [])
    """
    found = _LINE.match(line)
    if found is None or found[1] not in _MAGICS:
        return []
    parser: argparse.ArgumentParser = _MAGICS[found[1]].parser
    *before, typed = found[2].split(" ")
    if typed.startswith("-"):
        known = [option for action in parser._actions for option in action.option_strings if option.startswith("--")]
    else:
        known = _actions(found[1]) if not any(before) else []
    return [name for name in known if name.startswith(typed)]


def _actions(magic: str) -> list[str]:
    from nbray.notebook.actions import ACTIONS

    if magic == "%nbray":
        return list(ACTIONS)
    named = next((action.metavar for action in _MAGICS[magic].parser._actions if action.dest == "action"), "")
    return [name for name in str(named).split("|") if name]
