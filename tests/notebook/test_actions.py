"""The table of `%nbray`'s actions: its help, its refusals."""

from __future__ import annotations

import re

import pytest
from IPython.core.error import UsageError

from nbray.notebook import actions
from nbray.notebook.actions import ACTIONS
from nbray.notebook.magics import NbrayMagics

NO_OPTIONS = {"all": False, "workers": None, "memory": None}


def declared_options() -> set[str]:
    """The long names of the options that the magic has."""
    known = NbrayMagics.nbray.parser._actions
    return {option.removeprefix("--") for each in known for option in each.option_strings if option.startswith("--")}


def test_every_option_belongs_to_actions_and_its_help_names_them() -> None:
    assert {option for action in ACTIONS.values() for option in action.options} == declared_options()
    for option in NbrayMagics.nbray.parser._actions:
        owners = {action.name for action in ACTIONS.values() if option.dest in action.options}
        assert owners <= set(re.findall(r"\w+", option.help.partition(": ")[0])), option.dest


@pytest.mark.parametrize("action", ACTIONS.values(), ids=lambda action: action.name)
def test_what_takes_anything_has_an_example_in_its_help(action: actions.Action) -> None:
    assert bool(action.usage) == bool(action.most_words or action.options)
    if action.usage:
        assert f"%nbray {action.name}" in action.help


def test_the_help_has_every_action() -> None:
    text = actions.help_text()
    for name in ACTIONS:
        assert re.search(rf"^  {name}\b", text, re.MULTILINE), name


@pytest.mark.parametrize(
    ("name", "words", "options", "message"),
    [
        ("stop", ("now",), {}, "%nbray stop takes no now: nothing may stand behind it"),
        ("scale", ("3", "4"), {}, "%nbray scale takes no 4: expected %nbray scale N"),
        ("stop", (), {"workers": 3}, "%nbray stop takes no --workers; it belongs to %nbray start"),
    ],
)
def test_strangers_are_refused(name: str, words: tuple[str, ...], options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        actions.refuse_strangers(actions.find(name), words, NO_OPTIONS | options)


def test_what_belongs_there_is_let_through() -> None:
    actions.refuse_strangers(actions.find("cancel"), ("4",), NO_OPTIONS | {"all": True})


def test_an_unknown_action_gets_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"%nbray scael: did you mean scale\?"):
        actions.find("scael")
