from __future__ import annotations

from nbray.widgets.settings import settings_text, spoken, value_text


def test_foreign_values_stay_on_one_line() -> None:
    assert value_text("a\nb\x1b[31m") == "a b�[31m"
    assert value_text(list(range(100))) == "[0, 1, 2, 3, 4, 5, ...]"
    assert len(value_text("x" * 100)) == 24


def test_numbers_keep_what_counts() -> None:
    assert value_text(1 / 3) == "0.3333"
    assert value_text(10_000_000) == "10000000"


def test_what_is_large_says_what_it_is() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    class Frame:
        shape = (1_000_000, 20)

    assert spoken(Broken()) == "<Broken instance>"
    assert spoken(object()) == spoken(object())
    assert spoken(test_many_parameters_are_counted) == "test_many_parameters_are_counted"
    assert spoken(Frame()) == "Frame (1000000, 20)"
    assert len(spoken({number: number for number in range(10_000)})) < 60


def test_many_parameters_are_counted() -> None:
    assert settings_text(dict.fromkeys("abcdefgh", 1), 2) == "a=1 b=1 and 6 more"
