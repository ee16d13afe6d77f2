"""Sizes, times, rates and foreign text in words."""

from __future__ import annotations

import pytest

from nbray.wording import NO_MATHEMATICS, count_text, one_line, plain_html, rate_text, size_text, time_text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (999 * 1024, "999 KiB"), (1000 * 1024, "1.0 MiB"), (5 * 2**40, "5120 GiB")],
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (0.1, "0.1 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (3599.4, "59 min 59 s"), (3600, "1 h 0 min")],
)
def test_times(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_rates_and_counts() -> None:
    assert [rate_text(rate) for rate in (0.01, 0.5, 99.9, 1e6)] == ["0.6/min", "0.5/s", "99.9/s", "1,000,000/s"]
    assert [count_text(count, "worker") for count in (0, 1, 2)] == ["0 workers", "1 worker", "2 workers"]


def test_foreign_text_is_one_harmless_line_of_bounded_length() -> None:
    assert one_line("  a \t\n b\x00\u202e\x1b[2J  ") == "a b���[2J"
    assert one_line("x" * 10**7, 10) == "xxxxxxxxx…"
    assert one_line("naïve 日本 😀") == "naïve 日本 😀"


def test_pages_are_told_to_leave_text_alone() -> None:
    assert plain_html("<b>$x$</b>") == f'<div class="{NO_MATHEMATICS}"><b>$x$</b></div>'
