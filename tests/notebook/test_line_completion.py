"""Tab behind `%nbray`, `%remote`, `%%remote` and `%%parallel`."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.notebook.line_completion import LineCompletion, offered
from tests.notebook.kernel import Kernel


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("%nbray sca", ["scale"]),
        ("run = %nbray tu", ["tune"]),
        ("%nbray scale ", []),
        ("%nbray cancel --a", ["--all"]),
        ("%remote ", ["on", "off", "who", "fetch", "drop"]),
        ("%remote fetch x --o", ["--on"]),
        ("%%remote --ti", ["--timeout"]),
        ("%%remote ", []),
        ("%%parallel for x in xs --cp", ["--cpus"]),
        ("%timeit st", []),
        ("x = st", []),
        ("nbray st", []),
    ],
)
def test_what_is_offered(line: str, names: list[str]) -> None:
    assert offered(line) == names


def test_it_goes_without_a_trace(shell: InteractiveShell) -> None:
    before = list(shell.Completer.custom_matchers)
    LineCompletion(shell).close()
    assert shell.Completer.custom_matchers == before


@pytest.mark.local
@pytest.mark.parametrize(
    ("code", "matches"),
    [
        ("x = 1\n%nbray sca", ["scale"]),
        ("%nbray ca", ["cache", "cancel"]),
        ("%%remote --plo", ["--plot"]),
        ("%%remote -o x --time\nstatus = 1", ["--timeout"]),
        ("%%remote\nstr", None),
    ],
)
def test_tab_in_a_kernel(kernel: Kernel, code: str, matches: list[str] | None) -> None:
    first = code.partition("\n")[0]
    cursor = len(first) if first.startswith("%%") and " " in first else len(code)
    reply = kernel.client.complete(code, cursor, reply=True, timeout=30)["content"]
    if matches is None:
        assert "str" in reply["matches"]
        assert not any(match.startswith("-") for match in reply["matches"])
    else:
        assert reply["matches"] == matches
