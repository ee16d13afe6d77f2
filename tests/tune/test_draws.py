from __future__ import annotations

from nbray.tune.draws import draw, generator


def test_a_number_depends_on_the_seed_and_on_each_name() -> None:
    numbers = {draw(0), draw(1), draw(0, "a"), draw(0, "b"), draw(0, "a", 1), draw(0, "a", 2), draw(0, ("a", 1))}
    assert len(numbers) == 7
    assert draw(0, "a", 1) == draw(0, "a", 1)


def test_numbers_are_the_same_everywhere() -> None:
    assert draw(0, "trial", 3) == 0.42175626921785137
    assert generator(0, "trial", 3).integers(1000) == 670


def test_numbers_fill_the_unit_interval_evenly() -> None:
    counts = [0] * 10
    for number in range(10_000):
        counts[int(10 * draw(5, number))] += 1
    assert min(counts) > 900
    assert max(counts) < 1100
