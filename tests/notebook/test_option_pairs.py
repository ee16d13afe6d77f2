"""Options of `%%remote` that cannot stand together."""

from __future__ import annotations

import pytest

from nbray.errors import UsageError
from nbray.notebook import option_pairs
from nbray.notebook.command_lines import parse
from nbray.notebook.magics import NbrayMagics

FLAGS = {option.dest: option for option in NbrayMagics.remote.parser._actions}


def line(*names: str) -> str:
    """A line with these options, each with a value where it takes one."""
    return " ".join(f"--{name}" + ("" if FLAGS[name].nargs == 0 else " 1") for name in names)


@pytest.mark.parametrize("pair", option_pairs.PAIRS)
def test_each_pair_is_of_options_that_exist_and_is_refused(pair: tuple[str, str]) -> None:
    asked = parse(NbrayMagics.remote, line(*pair))
    with pytest.raises(UsageError, match=f"--{pair[0]} with --{pair[1]}: "):
        option_pairs.refuse(asked)


@pytest.mark.parametrize("name", FLAGS)
def test_each_option_may_stand_alone(name: str) -> None:
    option_pairs.refuse(parse(NbrayMagics.remote, line(name)))
