from __future__ import annotations

import pytest

from nbray.errors import UsageError
from nbray.notebook.cell_environment import options_of


def variables(*pairs: str) -> dict[str, str]:
    found: dict[str, str] = options_of(pairs)["runtime_env"]["env_vars"]
    return found


def test_without_variables_there_is_no_option() -> None:
    assert options_of(None) == {} == options_of([])


def test_pairs_become_variables() -> None:
    assert variables("A=1", "B=x=y", "C=") == {"A": "1", "B": "x=y", "C": ""}


def test_quotes_around_a_value_or_a_pair_are_not_part_of_it() -> None:
    assert variables("A='a b'", '"B=c d"', "C='x", "y'", r"D=a\b") == {"A": "a b", "B": "c d", "C": "x y", "D": r"a\b"}
    with pytest.raises(UsageError, match="a quote is not closed"):
        options_of(["A='x"])


@pytest.mark.parametrize(
    ("text", "example"),
    [("A", "--env A=4"), ("=3", "--env OMP_NUM_THREADS=4"), ("1A=3", "--env OMP_NUM_THREADS=4"), ("a-b=3", "--env a_b=4")],
)
def test_what_is_no_pair_is_refused(text: str, example: str) -> None:
    with pytest.raises(UsageError, match="expected NAME=VALUE") as raised:
        options_of([text])
    assert str(raised.value).startswith(f"--env {text}: ")
    assert str(raised.value).endswith(example)
