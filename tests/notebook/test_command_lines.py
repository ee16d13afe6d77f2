"""Lines of magics: what they say, and what is said of those that cannot be read."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import example, given, strategies
from IPython.core.error import UsageError

from nbray.notebook.command_lines import nearest, parse
from nbray.notebook.magics import NbrayMagics
from nbray.notebook.parallel_magics import ParallelMagics
from nbray.notebook.remote_magics import RemoteMagics


@pytest.mark.parametrize("line", ["cancel --all 4", "--all cancel 4", "cancel 4 --all"])
def test_options_stand_anywhere(line: str) -> None:
    asked = parse(NbrayMagics.nbray, line)
    assert (asked.action, asked.words, asked.all) == ("cancel", ["4"], True)


def test_without_words() -> None:
    asked = parse(NbrayMagics.nbray, "")
    assert (asked.action, asked.words) == ("status", [])


@pytest.mark.parametrize(
    ("magic", "line", "message"),
    [
        (NbrayMagics.remote, "--cpus two", "%%remote --cpus two: expected a number, as %%remote --cpus 2"),
        (NbrayMagics.remote, "--retries 1.5", "%%remote --retries 1.5: expected a whole number, as %%remote --timeout"),
        (NbrayMagics.remote, "--timeout", "%%remote --timeout: expected SECONDS behind it, as %%remote --timeout 60"),
        (NbrayMagics.remote, "-o --bg", "%%remote -o: expected NAME behind it, as %%remote -i data -o model"),
        (NbrayMagics.remote, "--bg=yes", "%%remote --bg=yes: it takes no value"),
        (NbrayMagics.remote, "--tiemout 3", "%%remote: there is no --tiemout 3: did you mean --timeout?"),
        (NbrayMagics.remote, "--tiemout=3", "%%remote: there is no --tiemout=3: did you mean --timeout?"),
        (NbrayMagics.remote, "x = 1", "%%remote takes no x = 1: code goes below this line; there are -i, --inputs,"),
        (NbrayMagics.remote, "--name 'my", "%%remote --name 'my: a quotation mark opens there that nothing closes"),
        (ParallelMagics.parallel, "--gpu", "%%parallel --gpus: expected N behind it"),
        (RemoteMagics.remote, "fetch --on", "%remote --on: expected NAMESPACE behind it, as %remote fetch model losses"),
        (NbrayMagics.nbray, "start -n many", "%nbray -n many: expected a whole number, as %nbray start -n 4"),
    ],
)  # fmt: skip
def test_wrong_lines(magic: Any, line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(magic, line)
    assert str(caught.value).startswith(message)


MAGICS = [NbrayMagics.remote, NbrayMagics.nbray, ParallelMagics.parallel, RemoteMagics.remote]
OWN = [option for magic in MAGICS for action in magic.parser._actions for option in action.option_strings]
ODD = ["1", "x", "=", "--", "-", "-1", "1e999", "nan", "A=1", "'", '"', "\\", "$x", "{x}", "%", "é", "\0", "for", "(", "[0"]


@pytest.mark.parametrize("magic", MAGICS, ids=lambda magic: magic.parser.prog)
@given(line=strategies.text(max_size=40) | strategies.lists(strategies.sampled_from(OWN + ODD), max_size=6).map(" ".join))
@example(line="\x1f")
@example(line="-i")
def test_any_line_is_read_or_refused(magic: Any, line: str) -> None:
    with contextlib.suppress(UsageError):
        assert parse(magic, line) is not None


@pytest.mark.parametrize("magic", MAGICS, ids=lambda magic: magic.parser.prog)
def test_each_option_without_its_value_is_explained_with_its_example(magic: Any) -> None:
    for option in magic.parser._actions:
        if option.option_strings and option.nargs not in (0, "*"):
            with pytest.raises(UsageError, match=f"{option.option_strings[0]}: expected {option.metavar or ''}.*, as %"):
                parse(magic, option.option_strings[0])


def test_nearest() -> None:
    assert nearest("scael", ["stop", "scale"]) == "did you mean scale?"
