"""Tab and Shift-Tab on names that live in a namespace: asked there where the notebook cannot know, and only for a moment."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from nbray.notebook.remote_mode import RemoteMode

PATIENCE = 0.12
"""So many seconds an answer is waited for; a namespace that is running a cell has none."""
INSPECT_PATIENCE = 0.5
"""The same for an explanation, which nobody types on beside."""

DICT_KEY = "dict key"

_ON = re.compile(r"\s*%%remote\b.*\s--on[\s=]+([\w.-]+)")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\.?")
_ROOT = re.compile(r"[^\W\d]\w*")
_KEY = re.compile(r"([^\W\d]\w*)(?:\.[^\W\d]\w*)*\[[^\]]*$")


class RemoteCompletion:
    """What a shell completes and explains beyond its own names; used on the threads on which the frontend asks."""

    def __init__(self, shell: Any, mode: RemoteMode) -> None:
        self._shell = shell
        self._mode = mode

        def match(context: CompletionContext) -> SimpleMatcherResult:  # a bound method could not be marked as a matcher
            return self._match(context)

        self._matcher = context_matcher(identifier="nbray.remote_names")(match)
        self._inspect_here = shell.object_inspect_mime
        shell.Completer.custom_matchers.append(self._matcher)
        shell.object_inspect_mime = self._inspect

    def close(self) -> None:
        """Leave the shell as it was."""
        self._shell.Completer.custom_matchers.remove(self._matcher)
        del self._shell.object_inspect_mime

    def _match(self, context: CompletionContext) -> SimpleMatcherResult:
        namespace = namespace_of(context.full_text) or self._mode.namespace
        found = [] if namespace is None else matches(namespace, context.token, context.text_until_cursor)
        only = any(kind == DICT_KEY for _, kind in found)  # IPython would offer its magics beside them
        return {"completions": [SimpleCompletion(text=text, type=kind) for text, kind in found], "suppress": only}

    def _inspect(self, name: str, detail_level: int = 0, omit_sections: Any = ()) -> dict[str, Any]:
        """See InteractiveShell.object_inspect_mime; raises KeyError for what nobody knows."""
        from nbray.notebook import namespaces

        where = namespaces.opened(self._mode.namespace) if self._mode.namespace else None
        root = _ROOT.match(name)
        if where is not None and root is not None and root[0] in where.known():
            found = where.inspect(name, detail_level, INSPECT_PATIENCE)
            if found:
                return found
        return self._inspect_here(name, detail_level, omit_sections)  # type: ignore[no-any-return]


def namespace_of(cell: str) -> str | None:
    """The namespace in which a cell runs that says so itself.

    >>> namespace_of("%%remote --on gpu0 -o x\\nx = 1"), namespace_of("x = 1")
    ('gpu0', None)
    """
    found = _ON.match(cell.partition("\n")[0])
    return found[1] if found else None


def matches(namespace: str, token: str, before: str) -> list[tuple[str, str]]:
    """Completions of what stands before the cursor, with their kinds; names come from memory, the rest is asked for."""
    from nbray.notebook import namespaces

    where = namespaces.opened(namespace)
    if where is None:
        return []
    known = where.known()
    key = _KEY.search(before)
    if key is None and "." not in token:
        return [(name, "instance") for name in sorted(known) if name.startswith(token)]
    root = key or (_ROOT.match(token) if _DOTTED.fullmatch(token) else None)
    if root is None or root[1 if key else 0] not in known:
        return []
    return [(text, DICT_KEY if key else "attribute") for text in where.complete(token, before, PATIENCE)]
