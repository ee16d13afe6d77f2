from __future__ import annotations

from nbray.widgets.settings import settings_text, value_text


def test_foreign_values_stay_on_one_line() -> None:
    assert value_text("a\nb\x1b[31m") == "a b�[31m"
    assert len(value_text(list(range(100)))) == 24


def test_numbers_keep_what_counts() -> None:
    assert value_text(1 / 3) == "0.3333"
    assert value_text(10_000_000) == "10000000"


def test_many_parameters_are_counted() -> None:
    assert settings_text(dict.fromkeys("abcdefgh", 1), 2) == "a=1 b=1 and 6 more"
