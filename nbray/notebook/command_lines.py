"""How the line of a magic is read: its options and words, and what is said of a line that cannot be."""

from __future__ import annotations

import argparse
import difflib
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any

from IPython.core.error import UsageError
from IPython.utils.process import arg_split  # type: ignore[attr-defined]

_EXPECTED = {"float": "a number", "int": "a whole number"}
_BAD_VALUE = re.compile(r"argument (?P<option>[^:]+): invalid (?P<kind>\w+) value: '(?P<value>.*)'", re.DOTALL)
_NO_VALUE = re.compile(r"argument (?P<option>[^:]+): expected (?:one|at least one) argument")
_SUPERFLUOUS = re.compile(r"argument (?P<option>[^:]+): ignored explicit argument '(?P<value>.*)'", re.DOTALL)


def parse(magic: Callable[..., Any], line: str) -> Any:
    """The arguments of a magic's line; raises UsageError, for an option that does not exist with the nearest that does.

    Options and words may stand in any order.
    """
    parser = magic.parser  # type: ignore[attr-defined]
    try:
        words = arg_split(line, strict=True)
    except ValueError:
        raise UsageError(f"%{parser.prog} {line.strip()}: a quotation mark opens there that nothing closes") from None
    try:
        return parser.parse_intermixed_args(words)
    except UsageError as error:
        raise UsageError(_explained(str(error), parser)) from None


def _explained(problem: str, parser: argparse.ArgumentParser) -> str:
    """What argparse complains of, as the user has to hear it: the value, what was expected, what to type."""
    magic = f"%{parser.prog}"
    if found := _BAD_VALUE.fullmatch(problem):
        expected = _EXPECTED.get(found["kind"], found["kind"])
        option = _action(parser, found["option"])
        return f"{magic} {_short(option)} {found['value']}: expected {expected}, as {_example(parser, option)}"
    if found := _NO_VALUE.fullmatch(problem):
        option = _action(parser, found["option"])
        return f"{magic} {_short(option)}: expected {option.metavar} behind it, as {_example(parser, option)}"
    if found := _SUPERFLUOUS.fullmatch(problem):
        return f"{magic} {_short(_action(parser, found['option']))}={found['value']}: it takes no value"
    _, is_unknown, unknown = problem.partition("unrecognized arguments: ")
    if not is_unknown:
        return f"{magic}: {problem}"
    options = [option for action in parser._actions for option in action.option_strings]
    first = unknown.partition(" ")[0]
    if unknown.startswith("-"):
        return f"{magic}: there is no {unknown}: {nearest(first.partition('=')[0], options)}"
    below = "code goes below this line; " if magic.startswith("%%") else ""
    return f"{magic} takes no {unknown}: {below}{nearest(first, options)}"


def _action(parser: argparse.ArgumentParser, shown: str) -> argparse.Action:
    """The option of which argparse speaks, as "-n/--workers"."""
    return next(action for action in parser._actions if set(shown.split("/")) <= {*action.option_strings, action.metavar})


def _short(option: argparse.Action) -> str:
    return option.option_strings[0] if option.option_strings else str(option.metavar)


def _example(parser: argparse.ArgumentParser, option: argparse.Action) -> str:
    """How the help shows the option: in a line of its own, else within a sentence."""
    flags = "|".join(re.escape(flag) for flag in option.option_strings)
    text = inspect.cleandoc(parser.description or "")
    alone = re.search(rf"^  (%{parser.prog} .*?(?<=\s)(?:{flags}) [^\s-]\S*)", text, re.MULTILINE)
    within = re.search(rf"(?<!%)(%{parser.prog}[^%,:;\n]*?(?<=\s)(?:{flags}) [^\s,:;]+)", text)
    found = alone or within
    assert found, f"%{parser.prog}? has no example of {_short(option)}"
    return found[1]


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint at what was meant.

    >>> nearest("--tiemout", ["--timeout", "--bg"]), nearest("x", ["--timeout", "--bg"])
    ('did you mean --timeout?', 'there are --timeout, --bg')
    """
    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
